import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAst } from 'vite'
import { describe, expect, it } from 'vitest'
import { badSentences, blockTexts, inlineElements, maxWords } from './testing/sentences.ts'

// Every text of the site: the HTML pages, and all strings and JSX of the
// components, including those that no other test renders.

const sources = Object.entries(
  import.meta.glob<string>(['./**/*.{ts,tsx}', '!./**/*.test.*', '!./testing/**'], { eager: true, query: '?raw', import: 'default' }),
)
const pages = ['index.html', 'privacy.html', 'public/problems.html']

type Node = { type: string; [property: string]: unknown }

/** An expression in a text counts as one word. */
const placeholder = 'X'

/** Returns the texts of a module: its string and template literals, and the text of each JSX element. */
function sourceTexts(code: string): string[] {
  const texts: string[] = []

  const jsxText = (element: Node): string =>
    (element.children as Node[])
      .map((child) => {
        if (child.type === 'JSXText') return child.value as string
        if (child.type === 'JSXExpressionContainer') {
          const expression = child.expression as Node
          return expression.type === 'Literal' ? (expression.value as string) : placeholder
        }
        if (child.type !== 'JSXElement') return ' '
        const name = ((child.openingElement as Node).name as Node).name as string
        return inlineElements.has(name) ? jsxText(child) : '. '
      })
      .join('')

  const visit = (value: unknown) => {
    if (Array.isArray(value)) return value.forEach(visit)
    if (value === null || typeof value !== 'object') return
    const node = value as Node
    if (node.type === 'ImportDeclaration') return
    if (node.type === 'Literal' && typeof node.value === 'string') texts.push(node.value)
    if (node.type === 'TemplateLiteral') {
      texts.push((node.quasis as Node[]).map((part) => (part.value as { cooked: string }).cooked).join(placeholder))
    }
    if (node.type === 'JSXElement' || node.type === 'JSXFragment') texts.push(jsxText(node))
    Object.values(node).forEach(visit)
  }
  visit(parseAst(code, { lang: 'tsx' }))
  return texts
}

describe(`UI texts have at most ${maxWords} words a sentence`, () => {
  it.each(sources)('in %s', (_, code) => {
    expect(sourceTexts(code).flatMap((text) => badSentences(text))).toEqual([])
  })

  it.each(pages)('in %s', (name) => {
    const page = new DOMParser().parseFromString(readFileSync(join(import.meta.dirname, '..', name), 'utf8'), 'text/html')
    const texts = blockTexts(page.documentElement)
    expect(texts.length).toBeGreaterThan(3)
    expect(texts.flatMap((text) => badSentences(text))).toEqual([])
  })

  const long = 'One two three four five six seven eight nine ten eleven twelve thirteen.'

  it('notices a long sentence in a string, a template, an element and a page', () => {
    expect(badSentences('One two three four five six seven eight nine ten eleven twelve. One.')).toEqual([])
    for (const code of [
      `const text = '${long}'`,
      `const text = \`${long.replace('six', '${six}')}\``,
      `const text = <p>One two three four five six <a href="/">seven eight</a> nine ten {eleven} twelve thirteen.</p>`,
      `const text = <p>{yes ? '${long}' : ''}</p>`,
      `const text = <button aria-label="${long}" />`,
    ]) {
      expect(sourceTexts(code).flatMap((text) => badSentences(text)), code).toHaveLength(1)
    }
    const page = new DOMParser().parseFromString(`<p>Short. ${long.replace('six', '<a>six</a>')}</p>`, 'text/html')
    expect(blockTexts(page.documentElement).flatMap((text) => badSentences(text))).toEqual([long])
  })

  it('notices a banned phrase', () => {
    expect(badSentences('It works. It is full just now.')).toEqual(['It is full just now.'])
  })

  it('reads the components', () => {
    const texts = sources.flatMap(([, code]) => sourceTexts(code)).join('\n')
    for (const text of ['Your Strava activities, at a glance', 'Strava cannot be reached.', 'Leave and erase my data']) {
      expect(texts).toContain(text)
    }
  })
})

it('openapi.json has at most 25 words a sentence', () => {
  const texts: string[] = []
  const visit = (value: unknown) => {
    if (value === null || typeof value !== 'object') return
    for (const [name, member] of Object.entries(value)) {
      if ((name === 'description' || name === 'summary') && typeof member === 'string') texts.push(member)
      else visit(member)
    }
  }
  visit(JSON.parse(readFileSync(join(import.meta.dirname, '../public/openapi.json'), 'utf8')))
  expect(texts.length).toBeGreaterThan(100)
  expect(texts.flatMap((text) => badSentences(text, 25))).toEqual([])
})
