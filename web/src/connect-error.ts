// What the OAuth callback may send back as /?error=…, told to a person.
const sentences: Record<string, string> = {
  access_denied:
    'You did not give Paceline access at Strava, so nothing was gathered. If you change your mind, connect again.',
  missing_scope:
    'Paceline cannot work without permission to view your activities. Connect again and leave the boxes about your activities ticked at Strava.',
  state:
    'This sign-in took longer than five minutes, was used before, or began in another browser. Connect again from here.',
  app_full:
    'This copy of Paceline has as many athletes as Strava allows it, so you could not be connected. Try again another day, or ask whoever runs it for a place.',
  strava_unavailable: 'Strava could not be reached, so you were not connected. Wait a few minutes and connect again.',
}

/** The sentence for the `error` in a query string; null when there is none. */
export function connectError(search: string): string | null {
  const code = new URLSearchParams(search).get('error')
  if (!code) return null
  return (Object.hasOwn(sentences, code) && sentences[code]) || 'Connecting to Strava did not work. Connect again.'
}
