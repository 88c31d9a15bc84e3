// Strava's official artwork. The build includes it if the operator saved it in
// src/brand (see its README.md). Strava's brand guidelines forbid redrawing it.
const files = import.meta.glob<string>('./brand/*.{svg,png}', { eager: true, query: '?url', import: 'default' })

const find = (name: string): string | undefined => files[`./brand/${name}.svg`] ?? files[`./brand/${name}.png`]

/** URL of the official "Connect with Strava" button, if the build has it. */
export const connectButton = find('connect-with-strava')

/** URL of the official "Powered by Strava" logo, if the build has it. */
export const poweredByLogo = find('powered-by-strava')
