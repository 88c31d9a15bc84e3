import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The origin of a running Paceline that `npm run dev` takes the API from. */
const upstream = process.env.PACELINE_APP ?? 'http://localhost:8080'

// Whom the privacy page names. Whoever runs Paceline for others builds with
// their own name and a way to reach them.
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
