import neostandard from 'neostandard'

export default [
  { ignores: ['**/dist/**', '.tap/**', 'docs/api/**'] },
  ...neostandard({ ts: true }),
  {
    // Rules that need types, where they pay: a promise nobody awaits is a check that never ran.
    files: ['lib/**/*.ts'],
    languageOptions: { parserOptions: { project: ['tsconfig.build.json', 'lib/browser/tsconfig.json'] } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-readonly': 'error'
    }
  }
]
