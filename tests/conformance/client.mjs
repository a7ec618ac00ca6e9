// Asks a cache what the suite asks, and tells what it does wrong: node client.mjs SUITE URL released|current [TEST]

import { current } from './definitions.mjs'

const [suite, url, edition, only] = process.argv.slice(2)
const { runTests, getResults } = await import(`${suite}/client/runner.mjs`)
const { determineTestResult } = await import(`${suite}/lib/display.mjs`)
const { default: released } = await import(`${suite}/tests/index.mjs`)
const { default: fetch } = await import(`${suite}/../node-fetch/lib/index.mjs`)

const groups = edition === 'current' ? current(released) : released
// Which groups the bars leave out.
const APART = ['cdn', 'interim']
const ASKED = { required: 'required', optimal: 'optimal', check: 'check' }

if (only) {
  await look(only)
} else {
  await run(groups)
  console.log(`\n${edition === 'current' ? 'As the suite\'s repository has it today' : 'As released'}:`)
  tell('outside cdn and interim', groups.filter(group => !APART.includes(group.id)))
  for (const group of groups.filter(group => APART.includes(group.id))) tell(group.id, [group])
}

async function run (groups) {
  await runTests(groups, fetch, false, url)
}

// One test, with what goes to and fro.
async function look (id) {
  const tests = groups.flatMap(group => group.tests).filter(test => test.id === id)
  for (const test of tests) test.dump = true
  await run([{ id: 'one', name: 'one', tests }])
  console.log(JSON.stringify(getResults(), null, 2))
}

function tell (title, groups) {
  const tests = groups.flatMap(group => group.tests).filter(test => !test.browser_only)
  const counted = Object.keys(ASKED).map(kind => [kind, tests.filter(test => (test.kind ?? 'required') === kind)])
  for (const [kind, tests] of counted.filter(([, tests]) => tests.length > 0)) {
    console.log(`  ${title}, ${kind}: ${tests.filter(passes).length} of ${tests.length}`)
  }
  for (const test of counted[0][1].filter(test => !passes(test))) {
    const result = getResults()[test.id]
    console.log(`    ${test.id}: ${Array.isArray(result) ? result[1] : 'what it depends on fails'}`)
  }
}

// As cache-tests.fyi counts: a test whose dependencies fail says nothing, and has not passed.
function passes (test) {
  return ['✅', 'Y'].includes(determineTestResult(groups, test.id, getResults())[2])
}
