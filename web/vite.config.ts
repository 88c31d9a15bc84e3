import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The origin of the running Paceline whose API `npm run dev` uses. */
const upstream = process.env.PACELINE_APP ?? 'http://localhost:8080'

// The operator that the privacy page names. An operator with other users builds
// the site with its name and contact.
process.env.VITE_PACELINE_OPERATOR ??= 'the people who gave you its address'

const page = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export default defineConfig({
  cacheDir: page('../node_modules/.vite'),
  build: {
    // A strict Content-Security-Policy allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: [page('index.html'), page('privacy.html')] },
  },
  server: {
    proxy: Object.fromEntries(['/v1', '/oauth', '/webhooks'].map((path) => [path, upstream])),
  },
  test: { environment: 'happy-dom' },
})
