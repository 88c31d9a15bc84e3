// The message for each error that the OAuth routes return as /?error=….
const messages: Record<string, string> = {
  access_denied:
    'You did not give Paceline access at Strava. No data was gathered. Connect again if you change your mind.',
  missing_scope:
    'Paceline cannot work without permission to view your activities. Connect again and keep the activity boxes ticked at Strava.',
  state:
    'Signing in failed. It must finish within five minutes, once, in one browser. Connect again from here.',
  link_denied: 'You did not give Paceline access at Fitbit. No account was linked.',
  link_scope: 'Paceline needs permission to read your Fitbit activity. Connect Fitbit again and allow it.',
  link_state: 'Linking took too long or began in another browser. Connect Fitbit again.',
  link_other: 'Another Fitbit account is linked. Unlink it first.',
  link_failed: 'Fitbit was not linked. Try again in a few minutes.',
  strava_unavailable: 'Strava could not be reached. You are not connected. Try again in a few minutes.',
}

/** The error for a full application; it has its own page, the waiting list. */
export const appFull = 'app_full'

/** Returns the `error` parameter of a query string, or null. */
export function connectErrorCode(search: string): string | null {
  return new URLSearchParams(search).get('error') || null
}

/** Returns the message for an error code. */
export function connectError(code: string): string {
  return (Object.hasOwn(messages, code) && messages[code]) || 'Connecting to Strava failed. Connect again.'
}
