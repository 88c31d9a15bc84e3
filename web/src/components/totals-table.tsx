import { useState } from 'preact/hooks'
import type { Period, Stats, Totals } from '../api.ts'
import { count, distance, duration, elevation, period } from '../format.ts'

const periods: Record<Period, string> = { year: 'Years', month: 'Months', week: 'Weeks' }
const firstRows = 12

interface Props {
  /** The totals read last. They may still be of the previously chosen period. */
  shown: { stats: Stats; by: Period } | null
  /** The chosen period. */
  by: Period
  onBy: (by: Period) => void
}

/** Totals by year, month or week, newest first. */
export function TotalsTable({ shown, by, onBy }: Props) {
  const [all, setAll] = useState(false)
  const rows = (shown?.stats.periods ?? []).toSorted((a, b) => b.start.localeCompare(a.start))
  const shownRows = all ? rows : rows.slice(0, firstRows)
  return (
    <section aria-labelledby="totals">
      <h2 id="totals">Totals</h2>
      <fieldset class="choice">
        <legend class="unseen">Totals by</legend>
        {(Object.keys(periods) as Period[]).map((choice) => (
          <label key={choice}>
            <input type="radio" name="by" value={choice} checked={choice === by} onChange={() => onBy(choice)} />
            {periods[choice]}
          </label>
        ))}
      </fieldset>
      {shown && (
        <>
          <div class="wide">
            <table>
              <thead>
                <tr>
                  <th scope="col">Period</th>
                  <th scope="col">Count</th>
                  <th scope="col">Distance</th>
                  <th scope="col">Moving</th>
                  <th scope="col" class="roomy">
                    Elapsed
                  </th>
                  <th scope="col">Climbed</th>
                </tr>
              </thead>
              <tbody>
                {shownRows.map((row) => (
                  <Row key={row.start} name={period(row.start, shown.by)} totals={row} />
                ))}
              </tbody>
              <tfoot>
                <Row name="All" totals={shown.stats.total} />
              </tfoot>
            </table>
          </div>
          {rows.length > shownRows.length && (
            <button type="button" class="button" onClick={() => setAll(true)}>
              Show all {rows.length} {periods[shown.by].toLowerCase()}
            </button>
          )}
        </>
      )}
    </section>
  )
}

function Row({ name, totals }: { name: string; totals: Totals }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{count(totals.count)}</td>
      <td>{distance(totals.distance)}</td>
      <td>{duration(totals.moving_time)}</td>
      <td class="roomy">{duration(totals.elapsed_time)}</td>
      <td>{elevation(totals.total_elevation_gain)}</td>
    </tr>
  )
}
