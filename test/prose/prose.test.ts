// cspell:disable -- The file contains the words that the linter must report.
//
// The spelling and prose linter (cspell.config.yaml) reports what it must.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'prose-'))
after(() => rmSync(folder, { recursive: true }))

/** The content of each file, with {…} around each word that the linter must report. */
const files: Record<string, string> = {
  'docs/page.md': 'Retry {lest} the call fail. {Somebody} waits, {whoever} that is. The {behavior} is {labeled}. A {mistkae}.\n',
  'pkg/x/x.go': '// Read reads {anew}. {Nobody} waits. A {mistkae}.\nfunc Read() error { return errors.New("{nobody} waits, no {mistkae}") }\n',
  'pkg/x/x_test.go': 'func Test{Nobody}Reads(t *testing.T) { awssqs.NewFromConfig(x) }\n',
  'web/x.tsx': 'const Text = () => <p>{Nobody} makes a {mistkae}.</p> // {lest}\n',
  'web/x.html': '<p>A {neighbor} makes a {mistkae}.</p>\n',
  'stack.yaml': '# {Whoever} makes a {mistkae}.\n',
  'pkg/x/testdata/strava.md': 'Nobody makes a mistkae anew.\n',
}

test('the linter reports forbidden words, typos and American spelling, except in testdata', () => {
  const want: string[] = []
  for (const [name, marked] of Object.entries(files)) {
    const path = name.replaceAll(/[{}]/g, '')
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    writeFileSync(join(folder, path), marked.replaceAll(/\{(\w+)\}/g, '$1'))
    for (const [, word] of marked.matchAll(/\{(\w+)\}/g)) want.push(`${path}: ${word}`)
  }
  const cspell = spawnSync('cspell', ['lint', '--no-progress', '--no-summary', '--config', join(root, 'cspell.config.yaml')], {
    cwd: folder,
    encoding: 'utf8',
  })
  const got = [...cspell.stdout.matchAll(/^(?:\.\/)?(.+?):\d+:\d+ - \w+ word \((\w+)\)/gm)].map(([, path, word]) => `${path}: ${word}`)
  assert.deepEqual(got.toSorted(), want.toSorted(), cspell.stderr)
  assert.equal(cspell.status, 1)
})
