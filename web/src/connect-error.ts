// What the OAuth routes may send back as /?error=…, told to a person.
const sentences: Record<string, string> = {
  access_denied:
    'You did not give Paceline access at Strava, so nothing was gathered. If you change your mind, connect again.',
  missing_scope:
    'Paceline cannot work without permission to view your activities. Connect again and leave the boxes about your activities ticked at Strava.',
  state:
    'This sign-in took longer than five minutes, was used before, or began in another browser. Connect again from here.',
  link_denied: 'You did not give Paceline access at Fitbit. Nothing was linked.',
  link_scope: 'Paceline needs your activity at Fitbit. Connect again and tick it.',
  link_state: 'Linking took too long, or began elsewhere. Connect Fitbit again.',
  link_other: 'Another Fitbit account is linked. Unlink it first.',
  link_failed: 'Fitbit was not linked. Wait a few minutes and connect again.',
  strava_unavailable: 'Strava could not be reached, so you were not connected. Wait a few minutes and connect again.',
}

/** The error that says that the application is full; it has a page of its own. */
export const appFull = 'app_full'

/** The `error` in a query string; null when there is none. */
export function connectErrorCode(search: string): string | null {
  return new URLSearchParams(search).get('error') || null
}

/** The sentence for an error. */
export function connectError(code: string): string {
  return (Object.hasOwn(sentences, code) && sentences[code]) || 'Connecting to Strava did not work. Connect again.'
}
