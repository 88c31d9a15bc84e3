import { connectButton } from '../brand.ts'

/** The first page: what Paceline is, the consent text, and the way in. */
export function Welcome() {
  return (
    <div class="prose">
      <h1>Your own Strava activities, plainly</h1>
      <p>
        Paceline shows you your Strava profile, your activities and your totals, and keeps them current. Before you
        connect, this is what you agree to.
      </p>

      <h2>What is collected</h2>
      <p>
        Your profile (name, user name, picture address) and the main statistics of your activities: name, sport, start
        time, distance, duration, elevation gain, speed, heart rate, power, energy, device and visibility. Activities
        only you can see are included, if you allow it at Strava.
      </p>

      <h2>What is not</h2>
      <p>No location, no map, no route. Strava sends them along; they are dropped before anything is stored.</p>

      <h2>How it is collected</h2>
      <p>
        Under the permission you give at Strava, and only to read. Paceline reads your history once; after that Strava
        tells it (by webhooks) when an activity is new, changed or deleted.
      </p>

      <h2>How long it is kept</h2>
      <p>
        As long as you are connected. It is erased when you leave or withdraw your permission, and an activity that you
        delete at Strava is erased here, too.
      </p>

      <h2>How to withdraw and have it deleted</h2>
      <p>
        Choose “Leave Paceline” on your page, or remove Paceline at Strava under Settings, My Apps. Both end the
        permission and delete everything held on you. Leaving here gives you a receipt that confirms the deletion.
      </p>

      <h2>Who sees it</h2>
      <p>
        Only you. More in the <a href="/privacy.html">privacy notice</a>.
      </p>

      <p class="connect">
        <a class={connectButton ? 'artwork' : 'button primary'} href="/oauth/connect">
          {connectButton ? <img src={connectButton} alt="Connect with Strava" height="48" /> : 'Connect with Strava'}
        </a>
      </p>
    </div>
  )
}
