import { describe, expect, it } from 'vitest'
import type { Activity, ActivityPage } from './api.ts'
import { append, refresh } from './activity-pages.ts'

/** Activities by id; a larger id began later. */
function page(ids: number[], next_cursor: string | null = null): ActivityPage {
  const items = ids.map((id): Activity => {
    const start = new Date(Date.UTC(2026, 0, id)).toISOString()
    return {
      id,
      name: `Ride ${id}`,
      sport_type: 'Ride',
      start_date: start,
      start_date_local: start,
      distance: 0,
      moving_time: 0,
      elapsed_time: 0,
      total_elevation_gain: 0,
    }
  })
  return { items, next_cursor }
}

const ids = (shown: ActivityPage) => shown.items.map((item) => item.id)

describe('append', () => {
  it('adds the next page and takes its cursor', () => {
    const shown = append(page([9, 8], 'after 8'), page([7, 6], 'after 6'))
    expect(ids(shown)).toEqual([9, 8, 7, 6])
    expect(shown.next_cursor).toBe('after 6')
  })

  it('shows no activity twice', () => {
    expect(ids(append(page([9, 8], 'after 8'), page([8, 7])))).toEqual([9, 8, 7])
  })
})

describe('refresh', () => {
  it('applies additions, changes and deletions on the first page and keeps later activities', () => {
    const first = page([10, 9, 7], 'after 7')
    first.items[1]!.name = 'Renamed'
    const shown = refresh(page([9, 8, 7, 6, 5], 'after 5'), first)
    expect(ids(shown)).toEqual([10, 9, 7, 6, 5])
    expect(shown.items[1]!.name).toBe('Renamed')
    expect(shown.next_cursor).toBe('after 5')
  })

  it('takes the cursor of the first page if no other page was loaded', () => {
    expect(refresh(page([9, 8], 'after 8'), page([10, 9], 'after 9')).next_cursor).toBe('after 8')
    expect(refresh(page([], null), page([10, 9], 'after 9')).next_cursor).toBe('after 9')
  })

  it('keeps later activities if the first page is short or empty', () => {
    const loaded = page([9, 6, 5], 'after 5')
    expect(refresh(loaded, page([9], 'after 7'))).toEqual(loaded)
    expect(refresh(loaded, page([], 'after 7'))).toEqual(loaded)
    expect(refresh(page([], 'after 7'), page([], 'after 8')).next_cursor).toBe('after 7')
    expect(refresh(page([9], 'after 8'), page([], 'after 8')).items).toEqual([])
  })

  it('drops all other activities if the first page is the only one', () => {
    expect(refresh(page([9, 8, 7], 'after 7'), page([9])).items).toHaveLength(1)
    expect(refresh(page([9, 8, 7], 'after 7'), page([]))).toEqual(page([]))
  })
})
