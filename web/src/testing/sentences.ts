// The language rules for every text that a reader sees.

/** The longest sentence of a UI text, in words. */
export const maxWords = 12

/** Words that are imprecise, archaic or make a reader guess. */
// cspell:disable-next-line
const bannedPhrases = /\b(just now|whoever|lest|anew|somebody|nobody)\b/i

/** Returns the sentences of a text that break a rule. Documents for developers have a larger limit. */
export function badSentences(text: string, limit = maxWords): string[] {
  return sentences(text).filter((sentence) => words(sentence) > limit || bannedPhrases.test(sentence))
}

function sentences(text: string): string[] {
  return text
    .split(/(?<=[.!?…]["”)]?)\s+/)
    .map((sentence) => sentence.replace(/\s+/g, ' ').trim())
    .filter(Boolean)
}

const words = (sentence: string): number => sentence.split(' ').filter((word) => /[\p{L}\p{N}]/u.test(word)).length

/** Elements whose text is part of the sentence around them. */
export const inlineElements = new Set(['a', 'code', 'em', 'span', 'strong', 'time'])

/** Returns the texts below an element, one for each block that contains text itself. */
export function blockTexts(root: Element): string[] {
  const texts: string[] = []
  const collect = (element: Element): string => {
    let own = ''
    for (const node of element.childNodes) {
      if (node.nodeType === 3) own += node.textContent
      if (node.nodeType !== 1) continue
      const child = node as Element
      if (inlineElements.has(child.localName)) {
        own += collect(child)
      } else {
        texts.push(collect(child))
        own += '. '
      }
    }
    return own
  }
  texts.push(collect(root))
  for (const element of [root, ...root.querySelectorAll('*')]) {
    for (const name of ['aria-label', 'alt', 'title', 'placeholder', 'content']) texts.push(element.getAttribute(name) ?? '')
  }
  return texts.filter((text) => text.trim())
}
