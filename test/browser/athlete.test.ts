// An athlete uses Paceline in Chromium: denies access, connects, reads the page,
// logs out, connects again and leaves. The test needs a running Paceline that
// uses the stand-in for Strava. The stand-in's consent screen is the only page of
// another origin.
//
//   PACELINE_APP   origin of the running Paceline, such as http://localhost:8080
//   CHROMIUM_PATH  the browser; the default is /usr/bin/chromium
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'

const app = process.env.PACELINE_APP
if (!app) throw new Error('PACELINE_APP is not set; start Paceline (make up) and give its origin, such as http://localhost:8080')

// Timeouts in milliseconds. A page makes several requests, which take the local
// cloud about half a second each. Gathering a whole history takes up to a minute.
const pageTimeout = 15_000
const gatheringTimeout = { timeout: 90_000 }

let browser: Browser
let context: BrowserContext
let page: Page
const violations: string[] = []

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  context = await browser.newContext()
  page = await context.newPage()
  page.setDefaultTimeout(pageTimeout)
  recordViolations(page)
})

after(async () => {
  await browser.close()
})

/** Records uncaught errors, violations of the content security policy, and requests to other hosts. */
function recordViolations(page: Page) {
  page.on('pageerror', (error) => violations.push(`uncaught: ${error.message}`))
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) violations.push(message.text())
  })
  page.on('request', (request) => {
    const foreign = new URL(request.url()).origin !== app
    if (foreign && !request.isNavigationRequest() && page.url().startsWith(app!)) violations.push(`requested ${request.url()}`)
  })
}

const connectLink = () => page.getByRole('link', { name: 'Connect with Strava', exact: true })
const alert = () => page.getByRole('alert')
const status = () => page.getByRole('status', { name: 'Gathering' })
const activities = () => page.locator('.activities > li')

/** Opens Strava's consent screen. */
async function openConsent() {
  await connectLink().click()
  await page.getByLabel('Account').waitFor()
}

/** Connects the athlete with this id. */
async function connectAs(id: string) {
  await openConsent()
  await page.getByLabel('Account').selectOption(id)
  await page.getByRole('button', { name: 'Authorize' }).click()
  await page.waitForURL(`${app}/`)
}

/** Waits until everything is gathered. Returns the number of activities. */
async function waitUntilCurrent(): Promise<number> {
  await status().getByText('Up to date').waitFor(gatheringTimeout)
  return firstNumber(await status().textContent())
}

/** Returns the first number in a text. */
const firstNumber = (text: string | null): number => Number(/[\d,]+/.exec(text ?? '')?.[0].replaceAll(',', ''))

test('an athlete connects, uses the page and leaves', async (t) => {
  let id = ''
  let name = ''
  let gathered = 0

  /** Runs one step. Each step builds on the previous one, so the test stops at the first failure. */
  const step = async (claim: string, run: () => void | Promise<void>) => {
    let passed = false
    await t.test(claim, async () => {
      await run()
      passed = true
    })
    assert.ok(passed, `stopped at: ${claim}`)
  }

  await step('the home page shows the consent text', async () => {
    await page.goto(app)
    const main = page.getByRole('main')
    for (const part of ['No location, no map, no route', 'webhooks', 'withdraw', 'receipt', 'Only you']) {
      await main.getByText(part).first().waitFor()
    }
    await page.getByRole('link', { name: 'Privacy', exact: true }).click()
    await page.getByRole('heading', { name: 'Privacy', exact: true }).waitFor()
    await page.getByRole('link', { name: 'Back to Paceline' }).click()
    await connectLink().waitFor()
  })

  await step('denying access shows a message', async () => {
    await openConsent()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await alert().getByText('You did not give Paceline access').waitFor()
    assert.equal(page.url(), `${app}/`, 'the error is removed from the address')
  })

  await step('withholding the activity scopes shows a message', async () => {
    await openConsent()
    await page.getByLabel('activity:read', { exact: true }).uncheck()
    await page.getByLabel('activity:read_all', { exact: true }).uncheck()
    await page.getByRole('button', { name: 'Authorize' }).click()
    await alert().getByText('without permission to view your activities').waitFor()
    assert.equal((await context.cookies(app)).some((cookie) => cookie.name === 'paceline_session'), false)
  })

  await step('an athlete joins the waiting list when Paceline is full', async () => {
    await openConsent()
    const newcomer = page.getByLabel('Account').locator('option').filter({ hasNotText: 'connected' }).first()
    await page.getByLabel('Account').selectOption((await newcomer.getAttribute('value'))!)
    const settings = `${new URL(page.url()).origin}/control/settings`
    await page.request.patch(settings, { data: { capacity: 0 } })
    await page.getByRole('button', { name: 'Authorize' }).click()
    await page.getByRole('heading', { name: 'Paceline is full' }).waitFor()
    await page.getByLabel('E-mail address').fill('ann@paceline.example')
    await page.getByRole('button', { name: 'Join the waiting list' }).click()
    await page.getByText('Your address is on the waiting list').waitFor()
    await page.request.patch(settings, { data: { capacity: 9_999 } })
    await page.getByRole('link', { name: 'Back to the home page' }).click()
    await connectLink().waitFor()
  })

  await step('connecting opens the page of the athlete', async () => {
    await openConsent()
    const option = page.getByLabel('Account').locator('option').filter({ hasNotText: 'connected' }).first()
    id = (await option.getAttribute('value'))!
    name = (await option.textContent())!.split('(')[0]!.trim()
    await page.goBack()
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor(gatheringTimeout)

    const session = (await context.cookies(app)).find((cookie) => cookie.name === 'paceline_session')
    assert.equal(session?.httpOnly, true)
    assert.equal(session?.sameSite, 'Lax')
  })

  await step('gathering completes and shows all activities', async () => {
    gathered = await waitUntilCurrent()
    assert.ok(gathered > 0)
    await activities().first().waitFor()
    const total = page.getByRole('row', { name: /^All/ })
    await total.getByRole('cell', { name: gathered.toLocaleString('en-GB'), exact: true }).first().waitFor()

    if (gathered > 30) {
      await page.getByRole('button', { name: 'Load more' }).click()
      await activities().nth(30).waitFor()
    }
    const links = await activities().getByRole('link', { name: 'View on Strava' }).evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href))
    assert.equal(links.length, Math.min(gathered, 60))
    assert.equal(new Set(links).size, links.length, 'each activity appears once')
    for (const link of links) assert.match(link, /^https:\/\/www\.strava\.com\/activities\/\d+$/)
    const starts = await activities().locator('time').evaluateAll((all) => all.map((time) => (time as HTMLTimeElement).dateTime))
    assert.deepEqual(starts, starts.toSorted().reverse(), 'newest first')
  })

  await step('a sport filters totals and activities', async () => {
    const sport = (await activities().first().locator('p.quiet > span').first().textContent())!
    await page.getByLabel('Sport').selectOption({ label: sport })
    await page.getByLabel('Months').check()
    const months = page.getByRole('rowheader', { name: /^[A-Z][a-z]+ \d{4}$/ })
    await months.first().waitFor()
    await page.locator('[aria-busy=true]').waitFor({ state: 'detached' })
    const count = firstNumber(await page.locator('tfoot td').first().textContent())
    assert.ok(count > 0 && count <= gathered)
    for (const shown of await activities().locator('p.quiet:first-of-type > span:first-child').allTextContents()) assert.equal(shown, sport)
  })

  await step('a refresh is accepted once and then refused for a while', async () => {
    const refresh = page.getByRole('button', { name: 'Look for new activities now' })
    const message = page.getByRole('status', { name: 'Looking' })
    const height = await message.evaluate((it) => it.clientHeight)
    await refresh.focus()
    await page.keyboard.press('Enter')
    await message.getByText('Reading from Strava').waitFor()
    await page.keyboard.press('Enter')
    await message.getByText(/again in about/).waitFor()
    assert.equal(await message.evaluate((it) => it.clientHeight), height, 'the message keeps its height')
  })

  await step('all data can be downloaded', async () => {
    const file = async (button: string) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()])
      return readFile(await download.path(), 'utf8')
    }
    const all = JSON.parse(await file('Download my data')) as { profile: { id: number }; activities: { id: number }[] }
    assert.ok(all.profile.id > 0)
    assert.equal(new Set(all.activities.map((one) => one.id)).size, gathered)
    const rows = (await file('Download activities as CSV')).split('\r\n')
    assert.equal(rows.length, gathered + 2, 'a header, one row for each activity, and an empty last line')
  })

  await step('a key can be created, used and revoked', async () => {
    const keys = page.getByRole('region', { name: 'Keys for programs' })
    await keys.getByText('Your keys').click()
    await keys.getByText('You have no keys').waitFor()
    await keys.getByLabel('Name').fill('Watch')
    await keys.getByRole('button', { name: 'Create a key' }).click()
    const secret = (await keys.locator('code').textContent())!
    const headers = { Authorization: `Bearer ${secret}` }
    const read = await fetch(`${app}/v1/me`, { headers })
    assert.equal(read.status, 200)
    assert.equal(String(((await read.json()) as { id: number }).id), id)
    await keys.getByRole('button', { name: 'Done' }).click()
    assert.equal(await keys.locator('code').count(), 0)
    await keys.getByRole('button', { name: 'Revoke Watch' }).click()
    await keys.getByText('You have no keys').waitFor()
    // A write checks the key in the database each time, without a cache.
    assert.equal((await fetch(`${app}/v1/me/sync`, { method: 'POST', headers })).status, 401)
  })

  await step('the page fits a phone', async () => {
    const before = page.viewportSize()!
    await page.setViewportSize({ width: 360, height: 740 })
    const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
    assert.ok(content! <= screen!, `the content is ${content} px wide, the screen ${screen} px`)
    await page.setViewportSize(before)
  })

  await step('the session survives a reload and ends with logging out', async () => {
    await page.reload()
    await page.getByRole('heading', { name, level: 1 }).waitFor()
    await page.getByRole('button', { name: 'Log out', exact: true }).click()
    await alert().getByText('You are logged out').waitFor()
    await page.reload()
    await connectLink().waitFor()
    assert.deepEqual(await context.cookies(app), [])
  })

  await step('connecting again shows the same activities', async () => {
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor()
    assert.equal(await waitUntilCurrent(), gathered)
  })

  await step('logging out everywhere ends the session', async () => {
    await page.getByRole('button', { name: 'Log out everywhere' }).click()
    await alert().getByText('You are logged out').waitFor()
    await page.reload()
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor()
  })

  await step('leaving erases everything and shows a receipt', async () => {
    await page.getByRole('button', { name: 'Leave Paceline' }).click()
    await page.getByRole('button', { name: 'Stay' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Leave Paceline' }).click()
    await page.getByRole('button', { name: 'Leave and erase my data' }).click()
    const receipt = await page.locator('.receipt code').textContent()
    assert.ok(receipt)
    await page.getByText('All data about you has been erased').waitFor(gatheringTimeout)
    await page.getByText(/Copies remain .* They expire by \d/).waitFor()
    assert.equal(await page.locator('.receipt code').textContent(), receipt, 'the receipt is still shown')
    assert.deepEqual(await context.cookies(app), [])

    // Looking up a receipt needs no session.
    const bookmark = page.url()
    await page.goto('about:blank')
    await page.goto(bookmark)
    await page.getByText('All data about you has been erased').waitFor()
    await page.getByRole('link', { name: 'Back to the home page' }).click()
    await connectLink().waitFor()
  })

  await step('no page had an error, violated its policy or contacted another host', () => {
    assert.deepEqual(violations, [])
  })
})
