import { expect, it } from 'vitest'
import { connectError, connectErrorCode } from './connect-error.ts'

it('has a sentence of its own for every error of the OAuth routes that has no page', () => {
  const codes = ['access_denied', 'missing_scope', 'state', 'strava_unavailable', 'link_denied', 'link_scope', 'link_state', 'link_other', 'link_failed']
  const sentences = new Set(codes.map(connectError))
  expect(sentences.size).toBe(codes.length)
  const general = connectError('something_new')
  expect(general).toBeTruthy()
  expect(sentences).not.toContain(general)
})

it('is not fooled by names that every object has', () => {
  expect(connectError('constructor')).toBe(connectError('something_new'))
})

it('is silent when nothing went wrong', () => {
  expect(connectErrorCode('')).toBeNull()
  expect(connectErrorCode('?other=1')).toBeNull()
  expect(connectErrorCode('?error=')).toBeNull()
  expect(connectErrorCode('?error=state')).toBe('state')
})
