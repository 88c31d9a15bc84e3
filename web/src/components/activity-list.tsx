import { useState } from 'preact/hooks'
import type { Activity, ActivityPage } from '../api.ts'
import { count, distance, duration, elevation, speed, sport, startTime } from '../format.ts'

const visibilities: Record<string, string> = { only_me: 'Only you', followers_only: 'Followers' }

/** The activities loaded so far, newest first, and a button that loads more. */
export function ActivityList({ page, onMore }: { page: ActivityPage | null; onMore: () => Promise<void> }) {
  const [loading, setLoading] = useState(false)

  const more = async () => {
    setLoading(true)
    await onMore()
    setLoading(false)
  }

  return (
    <section aria-labelledby="activities">
      <h2 id="activities">Activities</h2>
      {page && page.items.length === 0 && page.next_cursor === null && <p class="quiet">No activities yet.</p>}
      {page && (
        <ul class="activities">
          {page.items.map((activity) => (
            <Item key={activity.id} activity={activity} />
          ))}
        </ul>
      )}
      {page?.next_cursor && (
        <button type="button" class="button" disabled={loading} onClick={more}>
          {loading ? 'Loading…' : 'Load more'}
        </button>
      )}
    </section>
  )
}

function Item({ activity }: { activity: Activity }) {
  const labels = [
    activity.visibility && visibilities[activity.visibility],
    activity.commute && 'Commute',
    activity.trainer && 'Trainer',
    activity.manual && 'Entered manually',
  ].filter(Boolean)
  return (
    <li>
      <h3>{activity.name}</h3>
      <p class="quiet">
        <span>{sport(activity.sport_type)}</span>
        <time dateTime={activity.start_date}>{startTime(activity.start_date_local)}</time>
        {labels.map((label) => (
          <span key={label} class="mark">
            {label}
          </span>
        ))}
      </p>
      <dl>
        {activity.distance > 0 && <Figure name="Distance" value={distance(activity.distance)} />}
        <Figure name="Moving" value={duration(activity.moving_time)} />
        <Figure name="Elapsed" value={duration(activity.elapsed_time)} />
        {activity.total_elevation_gain > 0 && <Figure name="Climbed" value={elevation(activity.total_elevation_gain)} />}
        {activity.average_speed ? <Figure name="Average" value={speed(activity.average_speed, activity.sport_type)} /> : null}
        {activity.average_heartrate !== undefined && (
          <Figure name="Heart rate" value={`${count(activity.average_heartrate)} bpm`} />
        )}
        {activity.average_watts !== undefined && <Figure name="Power" value={`${count(activity.average_watts)} W`} />}
        {activity.kilojoules !== undefined && <Figure name="Energy" value={`${count(activity.kilojoules)} kJ`} />}
      </dl>
      <p class="quiet">
        {activity.device_name && <span>{activity.device_name}</span>}
        <a class="strava" href={`https://www.strava.com/activities/${activity.id}`} rel="noreferrer">
          View on Strava
        </a>
      </p>
    </li>
  )
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
