import type { ActivityPage } from './api.ts'

/** Returns the shown activities followed by the next page. */
export function append(shown: ActivityPage, next: ActivityPage): ActivityPage {
  const known = new Set(shown.items.map((item) => item.id))
  return { items: [...shown.items, ...next.items.filter((item) => !known.has(item.id))], next_cursor: next.next_cursor }
}

/**
 * Returns the shown activities after the first page was read again: the new
 * first page, then the shown activities beyond its end. Only the last page, whose
 * `next_cursor` is null, ends the list: any other may be short or empty.
 */
export function refresh(shown: ActivityPage, first: ActivityPage): ActivityPage {
  if (first.next_cursor === null || first.next_cursor === shown.next_cursor) return first
  const last = first.items.at(-1)
  const known = new Set(first.items.map((item) => item.id))
  const rest = shown.items.filter((item) => (!last || item.start_date <= last.start_date) && !known.has(item.id))
  const same = first.items.length === shown.items.length && shown.items.every((item) => known.has(item.id))
  if (same && shown.next_cursor !== null) return { items: first.items, next_cursor: shown.next_cursor }
  return rest.length === 0 ? first : { items: [...first.items, ...rest], next_cursor: shown.next_cursor }
}
