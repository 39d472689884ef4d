// Tests that tell nothing about which lines of lib/ are covered, since what they run is the built package in processes of its
// own, or since they run the same lines a hundred thousand times: counting would only make them slow.
const uncounted = /^test\/(browser|docs|examples)\/|^test\/security\/fuzz-|^test\/(\w+-)?examples\.test|^test\/package\.test/

export default file => uncounted.test(file) ? null : []
