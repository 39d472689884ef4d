/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two files that need each other, types included, are one file, or miss a third.',
      severity: 'error',
      from: {},
      to: { circular: true }
    },
    {
      name: 'types-import-nothing',
      comment: 'What several rooms need stands in types/, which needs no room.',
      severity: 'error',
      from: { path: '^lib/types/' },
      to: { path: '^lib/', pathNot: '^lib/types/' }
    }
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' }
  }
}
