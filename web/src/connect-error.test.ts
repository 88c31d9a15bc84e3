import { expect, it } from 'vitest'
import { connectError, connectErrorCode } from './connect-error.ts'

it('has its own message for every OAuth error without a page', () => {
  const codes = ['access_denied', 'missing_scope', 'state', 'strava_unavailable', 'link_denied', 'link_scope', 'link_state', 'link_other', 'link_failed']
  const messages = new Set(codes.map(connectError))
  expect(messages.size).toBe(codes.length)
  const general = connectError('something_new')
  expect(general).toBeTruthy()
  expect(messages).not.toContain(general)
})

it('treats names from Object.prototype as unknown codes', () => {
  expect(connectError('constructor')).toBe(connectError('something_new'))
})

it('finds no code in an address without an error', () => {
  expect(connectErrorCode('')).toBeNull()
  expect(connectErrorCode('?other=1')).toBeNull()
  expect(connectErrorCode('?error=')).toBeNull()
  expect(connectErrorCode('?error=state')).toBe('state')
})
