import { expect, it } from 'vitest'
import { connectError } from './connect-error.ts'

it('has a sentence of its own for every error of the OAuth callback', () => {
  const codes = ['access_denied', 'missing_scope', 'state', 'app_full', 'strava_unavailable']
  const sentences = new Set(codes.map((code) => connectError(`?error=${code}`)))
  expect(sentences.size).toBe(codes.length)
  const general = connectError('?error=something_new')
  expect(general).toBeTruthy()
  expect(sentences).not.toContain(general)
})

it('is not fooled by names that every object has', () => {
  expect(connectError('?error=constructor')).toBe(connectError('?error=something_new'))
})

it('is silent when nothing went wrong', () => {
  expect(connectError('')).toBeNull()
  expect(connectError('?other=1')).toBeNull()
})
