import type { Athlete } from '../api.ts'
import { instant } from '../format.ts'

/** The connected athlete. */
export function Profile({ athlete }: { athlete: Athlete }) {
  const name = [athlete.firstname, athlete.lastname].filter(Boolean).join(' ')
  return (
    <section class="profile">
      <h1>{name || athlete.username || `Athlete ${athlete.id}`}</h1>
      <p class="quiet">
        {athlete.username && <span>@{athlete.username}</span>}
        {athlete.created_at && <span>on Strava since {instant(athlete.created_at).split(',')[0]}</span>}
        {athlete.authorization && (
          <span>
            last connected {instant(athlete.authorization.authorized_at).split(',')[0]}
            {athlete.authorization.scopes && `, allowing ${athlete.authorization.scopes.join(', ')}`}
          </span>
        )}
        <a class="strava" href={`https://www.strava.com/athletes/${athlete.id}`} rel="noreferrer">
          View on Strava
        </a>
      </p>
    </section>
  )
}
