// The suite's tests as its repository has them (commit bb49f1d), out of those of its release on npm.
//
// Release 0.4.5 was written for RFC 7234 and drafts of its successor. What RFC 9111 settled otherwise, the repository has changed
// since; RFC 9213 came later altogether. Here are the changes to required tests, and what those depend on; each says in a
// line what a response is and whether it may be reused.

const FRESH = ['Cache-Control', 'max-age=3600']
const NOW = ['Date', 0]

export function current (released) {
  const groups = structuredClone(released)
  const suite = new Suite(groups)
  ages(suite)
  expires(suite)
  staleness(suite)
  storing(suite)
  updates(suite)
  groups.push(targeted())
  return groups
}

class Suite {
  constructor (groups) {
    this.groups = groups
  }

  group (id) {
    return this.groups.find(group => group.id === id)
  }

  test (id) {
    const test = this.groups.flatMap(group => group.tests).find(test => test.id === id)
    if (!test) throw new Error(`the release has no test ${id}`)
    return test
  }

  remove (ids) {
    for (const id of ids) this.test(id)
    for (const group of this.groups) group.tests = group.tests.filter(test => !ids.includes(test.id))
  }

  optional (ids) {
    for (const id of ids) this.test(id).kind = 'check'
  }

  add (group, ...tests) {
    this.group(group).tests.push(...tests)
  }
}

// An answer with these fields, three seconds later the same request: from the cache, or not.
function reuse (id, fields, expected, more = {}) {
  const first = { response_headers: fields, setup: true, pause_after: true }
  return { id, name: id, requests: [first, { expected_type: expected }], ...more }
}

// Fields that the release's client is not to compare with what it gets.
const unseen = (name, ...values) => values.map(value => [name, value, false])

// RFC 9111, 5.1: of several values the first counts, and one that is no number is ignored.
function ages (suite) {
  const cases = [
    ['age-parse-nonnumeric', ['abc'], 'cached'],
    ['age-parse-negative', ['-7200'], 'cached'],
    ['age-parse-float', ['7200.0'], 'cached'],
    ['age-parse-large-minus-one', ['2147483647'], 'not_cached'],
    ['age-parse-large', ['2147483648'], 'not_cached'],
    ['age-parse-larger', ['2147483649'], 'not_cached'],
    ['age-parse-suffix', ['7200, 0'], 'not_cached'],
    ['age-parse-prefix', ['0, 7200'], 'cached'],
    ['age-parse-suffix-twoline', ['7200', '0'], 'not_cached'],
    ['age-parse-prefix-twoline', ['0', '7200'], 'cached'],
    ['age-parse-dup-0', ['0, 0'], 'cached'],
    ['age-parse-dup-0-twoline', ['0', '0'], 'cached'],
    ['age-parse-dup-old', ['1800', '1800'], 'cached']
  ]
  const optional = suite.group('age-parse').tests.filter(test => test.id.endsWith('parameter'))
  for (const test of optional) test.kind = 'check'
  suite.group('age-parse').tests = optional
  for (const [id, values, expected] of cases) {
    const fields = [NOW, FRESH, ...unseen('Age', ...values)]
    suite.add('age-parse', reuse(id, fields, expected, { depends_on: ['freshness-max-age-age'] }))
  }
}

// RFC 9111, 5.3: what is no date of RFC 9110 is in the past.
function expires (suite) {
  const invalid = suite.group('expires-parse').tests.filter(test => test.id.startsWith('freshness-expires-invalid-'))
  for (const test of invalid) {
    test.kind = 'required'
    test.requests.at(-1).expected_type = 'not_cached'
    test.depends_on = ['freshness-expires-future']
  }
}

// RFC 9111, 4.2.4 and 5.2.2; RFC 5861, 3.
function staleness (suite) {
  suite.add('cc-freshness', reuse('freshness-max-age-stale', [['Cache-Control', 'max-age=2']], 'not_cached',
    { depends_on: ['freshness-max-age'] }))
  for (const directive of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2']) {
    const test = suite.test(`stale-close-${directive}`)
    // The release wants an answer of the origin, which has closed the connection. What is wanted is an error, and
    // 504 is the one that RFC 9111 names.
    test.requests[1] = {
      disconnect: true,
      expected_status: 504,
      check_body: false,
      expected_response_headers_missing: ['server-request-count']
    }
    test.depends_on = ['stale-close']
  }
  const whileRevalidate = window => [['Cache-Control', `max-age=1, stale-while-revalidate=${window}`], ['ETag', '"abc"']]
  suite.add('stale', reuse('stale-while-revalidate', whileRevalidate(3600), 'cached', { kind: 'optimal' }))
  const within = reuse('stale-while-revalidate-window', whileRevalidate(4), 'cached', { depends_on: ['stale-while-revalidate'] })
  const refreshed = [...unseen('Cache-Control', 'no-cache'), ...unseen('ETag', '"def"')]
  Object.assign(within.requests[1], { response_headers: refreshed, setup: true, pause_after: true })
  within.requests.push({ expected_response_headers: [['client-request-count', '3']] })
  suite.add('stale', within)
}

function storing (suite) {
  const dropped = suite.group('cc-parse').tests.filter(test => test.id.startsWith('freshness-max-age-ignore-quoted-all'))
  suite.remove(dropped.map(test => test.id))
  // What is fresh stays in use, whatever a later answer would say.
  for (const [id, later] of [['cc-resp-no-store-old-new', 'no-store'], ['cc-resp-no-store-old-max-age', 'no-store, max-age=0']]) {
    const test = reuse(id, [FRESH, NOW, ['A', '1']], 'cached', { depends_on: ['cc-resp-no-store'] })
    const second = { response_headers: [['Cache-Control', later], NOW, ['A', '2']], setup: true, pause_after: true }
    test.requests.splice(1, 0, second)
    test.requests[2].expected_response_headers = [['a', '1']]
    suite.add('cc-response', test)
  }
  const dated = reuse('other-date-update-expires', [['Expires', 2592000], NOW], 'cached', { depends_on: ['freshness-expires-future'] })
  dated.requests[1].expected_response_headers = [NOW]
  suite.add('other', dated)
  suite.test('partial-use-stored-headers').kind = 'required'
  const [first] = suite.test('status-599-must-understand').requests
  first.response_headers = [['Cache-Control', 'max-age=3600, no-store, must-understand']]
}

// Which fields a 304 changes is asked rather than demanded, but for those that are a cache's own business or nobody's; and so
// is what Location and Content-Location invalidate.
function updates (suite) {
  const demanded = ['Test-Header', 'X-Test-Header', 'Content-Foo', 'X-Content-Foo', 'Cache-Control', 'Content-Length']
  const prefix = '304-etag-update-response-'
  const asked = suite.group('update304').tests.map(test => test.id)
    .filter(id => id.startsWith(prefix) && !demanded.includes(id.slice(prefix.length)))
  suite.optional(asked)
  suite.optional(suite.group('invalidation').tests.map(test => test.id).filter(id => /-(location|cl)$/.test(id)))
}

// RFC 9213. All of it is demanded but the first, which the others depend on.
function targeted () {
  const cdn = (...values) => unseen('CDN-Cache-Control', ...values)
  const past = ['Expires', -10000]
  const future = ['Expires', 10000]
  const controlled = ['cdn-max-age']
  const cases = [
    ['cdn-max-age-age', [NOW, ...cdn('max-age=3600'), ['Age', '7200']], 'not_cached', controlled],
    ['cdn-max-age-0', cdn('max-age=0'), 'not_cached', controlled],
    ['cdn-max-age-0-expires', [...cdn('max-age=0'), future, NOW], 'not_cached', controlled],
    ['cdn-max-age-long-cc-max-age', [FRESH, ...cdn('max-age=1')], 'not_cached', controlled],
    ['cdn-private', [...cdn('private'), FRESH, future, NOW], 'not_cached', []],
    ['cdn-no-cache', [...cdn('no-cache'), FRESH, future, NOW], 'not_cached', []],
    ['cdn-no-store-cc-fresh', [FRESH, ...cdn('no-store'), future, NOW], 'not_cached', ['freshness-none']],
    ['cdn-fresh-cc-nostore', [['Cache-Control', 'no-store'], ...cdn('max-age=10000')], 'cached', ['freshness-none']],
    ['cdn-cc-invalid-sh-type-unknown', [...cdn('max-age=10000, &&&&&'), ['Cache-Control', 'no-store']], 'not_cached', controlled],
    ['cdn-cc-invalid-sh-type-wrong', [...cdn('max-age="10000"'), ['Cache-Control', 'no-store']], 'not_cached', controlled]
  ]
  const tests = cases.map(([id, fields, expected, depends_on]) => reuse(id, fields, expected, { depends_on }))
  const optimal = { kind: 'optimal', depends_on: ['freshness-none'] }
  tests.unshift(
    reuse('cdn-max-age', cdn('max-age=3600'), 'cached', optimal),
    reuse('cdn-max-age-expires', [...cdn('max-age=3600'), past, NOW], 'cached', optimal),
    reuse('cdn-max-age-short-cc-max-age', [['Cache-Control', 'max-age=1'], ...cdn('max-age=3600')], 'cached', optimal)
  )
  return { id: 'cdn', name: 'CDN-Cache-Control', tests }
}
