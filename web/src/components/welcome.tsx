import { connectButton } from '../strava-brand.ts'

/** The home page: a description of Paceline, the consent text, and the connect button. */
export function Welcome() {
  return (
    <div class="prose">
      <h1>Your Strava activities, at a glance</h1>
      <p>
        Paceline shows you your Strava profile, activities and totals. It keeps them up to date. By connecting, you agree
        to the following.
      </p>

      <h2>What is collected</h2>
      <p>
        Your profile: name, user name and picture address. Your activities: name, sport, start time, device and
        visibility. Their main statistics: distance, duration, elevation gain, speed, heart rate, power, energy.
        Activities only you can see are included if you allow it.
      </p>

      <h2>What is not collected</h2>
      <p>No location, no map, no route. Strava sends them; Paceline drops them before storing anything.</p>

      <h2>How it is collected</h2>
      <p>
        You give permission at Strava, only to read. Paceline reads your history, and again every few days. In between,
        Strava reports new, changed and deleted activities (by webhooks).
      </p>

      <h2>How long it is kept</h2>
      <p>
        As long as you are connected. Strava's data that was not read again for seven days is deleted. All data is
        erased when you leave or withdraw your permission. An activity that you delete at Strava is erased here, too.
      </p>

      <h2>How to withdraw and delete your data</h2>
      <p>
        Choose “Leave Paceline” on your page. Or remove Paceline at Strava under Settings, My Apps. Both end the
        permission and delete all data about you. Leaving here gives you a receipt that confirms the deletion.
      </p>

      <h2>Who sees it</h2>
      <p>
        Only you. See the <a href="/privacy.html">privacy notice</a>.
      </p>

      <p class="connect">
        <a class={connectButton ? 'artwork' : 'button primary'} href="/oauth/connect">
          {connectButton ? <img src={connectButton} alt="Connect with Strava" height="48" /> : 'Connect with Strava'}
        </a>
      </p>
    </div>
  )
}
