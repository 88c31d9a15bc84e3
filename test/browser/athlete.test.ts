// An athlete's whole way through Paceline in a real Chromium: denying,
// connecting, looking, logging out, coming back, leaving. It runs against a
// running Paceline whose Strava is the stand-in (its consent screen is the only
// page of another origin here).
//
//   PACELINE_APP   origin of the running Paceline, such as http://localhost:8080
//   CHROMIUM_PATH  the browser, /usr/bin/chromium unless set
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'

const app = process.env.PACELINE_APP
if (!app) throw new Error('PACELINE_APP is not set; start Paceline (make up) and give its origin, such as http://localhost:8080')

// Longest waits, in milliseconds: for a page, whose calls cost the local cloud
// about half a second each, and for work that goes on behind it (a whole history
// is gathered within a minute).
const forPage = 15_000
const forWork = { timeout: 90_000 }

let browser: Browser
let context: BrowserContext
let page: Page
const faults: string[] = []

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  context = await browser.newContext()
  page = await context.newPage()
  page.setDefaultTimeout(forPage)
  watch(page)
})

after(async () => {
  await browser.close()
})

/** Notes what no page of Paceline may do: break, disobey its security policy, or ask any other host for anything. */
function watch(page: Page) {
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`))
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) faults.push(message.text())
  })
  page.on('request', (request) => {
    const foreign = new URL(request.url()).origin !== app
    if (foreign && !request.isNavigationRequest() && page.url().startsWith(app!)) faults.push(`asked for ${request.url()}`)
  })
}

const connect = () => page.getByRole('link', { name: 'Connect with Strava', exact: true })
const alert = () => page.getByRole('alert')
const status = () => page.getByRole('status', { name: 'Gathering' })
const activities = () => page.locator('.activities > li')

/** Goes to Strava's consent screen. */
async function toConsent() {
  await connect().click()
  await page.getByLabel('You are').waitFor()
}

/** Connects as the athlete with this id. */
async function connectAs(id: string) {
  await toConsent()
  await page.getByLabel('You are').selectOption(id)
  await page.getByRole('button', { name: 'Authorize' }).click()
  await page.waitForURL(`${app}/`)
}

/** Waits until everything is gathered; how many activities that is. */
async function untilCurrent(): Promise<number> {
  await status().getByText('Up to date').waitFor(forWork)
  return number(await status().textContent())
}

/** The first number in a text. */
const number = (text: string | null): number => Number(/[\d,]+/.exec(text ?? '')?.[0].replaceAll(',', ''))

test('an athlete comes, looks, and goes', async (t) => {
  let id = ''
  let name = ''
  let gathered = 0

  /** One step of the way. Each stands on the one before, so the first that fails is the last. */
  const step = async (what: string, take: () => void | Promise<void>) => {
    let taken = false
    await t.test(what, async () => {
      await take()
      taken = true
    })
    assert.ok(taken, `stopped at: ${what}`)
  }

  await step('the first page says what is agreed to', async () => {
    await page.goto(app)
    const main = page.getByRole('main')
    for (const part of ['No location, no map, no route', 'webhooks', 'withdraw', 'receipt', 'Only you']) {
      await main.getByText(part).first().waitFor()
    }
    await page.getByRole('link', { name: 'Privacy', exact: true }).click()
    await page.getByRole('heading', { name: 'Privacy', exact: true }).waitFor()
    await page.getByRole('link', { name: 'Back to Paceline' }).click()
    await connect().waitFor()
  })

  await step('denying leads back with a sentence', async () => {
    await toConsent()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await alert().getByText('You did not give Paceline access').waitFor()
    assert.equal(page.url(), `${app}/`, 'the address is cleaned')
  })

  await step('so does keeping the activities back', async () => {
    await toConsent()
    await page.getByLabel('activity:read', { exact: true }).uncheck()
    await page.getByLabel('activity:read_all', { exact: true }).uncheck()
    await page.getByRole('button', { name: 'Authorize' }).click()
    await alert().getByText('without permission to view your activities').waitFor()
    assert.equal((await context.cookies(app)).some((cookie) => cookie.name === 'paceline_session'), false)
  })

  await step('where there is no place one can wait for one', async () => {
    await toConsent()
    const newcomer = page.getByLabel('You are').locator('option').filter({ hasNotText: 'connected' }).first()
    await page.getByLabel('You are').selectOption((await newcomer.getAttribute('value'))!)
    const settings = `${new URL(page.url()).origin}/control/settings`
    await page.request.patch(settings, { data: { capacity: 0 } })
    await page.getByRole('button', { name: 'Authorize' }).click()
    await page.getByRole('heading', { name: 'Paceline is full just now' }).waitFor()
    await page.getByLabel('E-mail address').fill('ann@paceline.example')
    await page.getByRole('button', { name: 'Join the waiting list' }).click()
    await page.getByText('Your address is on the waiting list').waitFor()
    await page.request.patch(settings, { data: { capacity: 9_999 } })
    await page.getByRole('link', { name: 'Back to the first page' }).click()
    await connect().waitFor()
  })

  await step('connecting leads to the athlete’s own page', async () => {
    await toConsent()
    const option = page.getByLabel('You are').locator('option').filter({ hasNotText: 'connected' }).first()
    id = (await option.getAttribute('value'))!
    name = (await option.textContent())!.split('(')[0]!.trim()
    await page.goBack()
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor(forWork)

    const session = (await context.cookies(app)).find((cookie) => cookie.name === 'paceline_session')
    assert.equal(session?.httpOnly, true)
    assert.equal(session?.sameSite, 'Lax')
  })

  await step('progress becomes current, and everything is there', async () => {
    gathered = await untilCurrent()
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
    assert.equal(new Set(links).size, links.length, 'no activity is shown twice')
    for (const link of links) assert.match(link, /^https:\/\/www\.strava\.com\/activities\/\d+$/)
    const starts = await activities().locator('time').evaluateAll((all) => all.map((time) => (time as HTMLTimeElement).dateTime))
    assert.deepEqual(starts, starts.toSorted().reverse(), 'newest first')
  })

  await step('totals and activities can be narrowed to a sport', async () => {
    const sport = (await activities().first().locator('p.quiet > span').first().textContent())!
    await page.getByLabel('Sport').selectOption({ label: sport })
    await page.getByLabel('Months').check()
    const months = page.getByRole('rowheader', { name: /^[A-Z][a-z]+ \d{4}$/ })
    await months.first().waitFor()
    await page.locator('[aria-busy=true]').waitFor({ state: 'detached' })
    const count = number(await page.locator('tfoot td').first().textContent())
    assert.ok(count > 0 && count <= gathered)
    for (const shown of await activities().locator('p.quiet:first-of-type > span:first-child').allTextContents()) assert.equal(shown, sport)
  })

  await step('Strava can be asked for what is new, but not again at once', async () => {
    const look = page.getByRole('button', { name: 'Look for new activities now' })
    const answer = page.getByRole('status', { name: 'Looking' })
    const height = await answer.evaluate((it) => it.clientHeight)
    await look.focus()
    await page.keyboard.press('Enter')
    await answer.getByText('Strava is being asked').waitFor()
    await page.keyboard.press('Enter')
    await answer.getByText(/again in about/).waitFor()
    assert.equal(await answer.evaluate((it) => it.clientHeight), height, 'nothing below it moves')
  })

  await step('everything held can be downloaded', async () => {
    const file = async (button: string) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()])
      return readFile(await download.path(), 'utf8')
    }
    const all = JSON.parse(await file('Download my data')) as { profile: { id: number }; activities: { id: number }[] }
    assert.ok(all.profile.id > 0)
    assert.equal(new Set(all.activities.map((one) => one.id)).size, gathered)
    const rows = (await file('Download activities as CSV')).split('\r\n')
    assert.equal(rows.length, gathered + 2, 'the names of the fields, a row each, and the end of the last')
  })

  await step('a key for a program can be made, used and revoked', async () => {
    const keys = page.getByRole('region', { name: 'Keys for programs' })
    await keys.getByText('Your keys').click()
    await keys.getByText('You have no keys').waitFor()
    await keys.getByLabel('Name').fill('Watch')
    await keys.getByRole('button', { name: 'Make a key' }).click()
    const secret = (await keys.locator('code').textContent())!
    const headers = { Authorization: `Bearer ${secret}` }
    const read = await fetch(`${app}/v1/me`, { headers })
    assert.equal(read.status, 200)
    assert.equal(String(((await read.json()) as { id: number }).id), id)
    await keys.getByRole('button', { name: 'Done' }).click()
    assert.equal(await keys.locator('code').count(), 0)
    await keys.getByRole('button', { name: 'Revoke Watch' }).click()
    await keys.getByText('You have no keys').waitFor()
    // What changes something is looked up each time.
    assert.equal((await fetch(`${app}/v1/me/sync`, { method: 'POST', headers })).status, 401)
  })

  await step('the page fits a phone', async () => {
    const before = page.viewportSize()!
    await page.setViewportSize({ width: 360, height: 740 })
    const [needed, given] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
    assert.ok(needed! <= given!, `${needed} px wide on a screen of ${given} px`)
    await page.setViewportSize(before)
  })

  await step('the session outlives a reload, and logging out ends it', async () => {
    await page.reload()
    await page.getByRole('heading', { name, level: 1 }).waitFor()
    await page.getByRole('button', { name: 'Log out', exact: true }).click()
    await alert().getByText('You are logged out').waitFor()
    await page.reload()
    await connect().waitFor()
    assert.deepEqual(await context.cookies(app), [])
  })

  await step('connecting again finds everything again', async () => {
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor()
    assert.equal(await untilCurrent(), gathered)
  })

  await step('logging out everywhere ends it, too', async () => {
    await page.getByRole('button', { name: 'Log out everywhere' }).click()
    await alert().getByText('You are logged out').waitFor()
    await page.reload()
    await connectAs(id)
    await page.getByRole('heading', { name, level: 1 }).waitFor()
  })

  await step('leaving erases everything and leaves a receipt', async () => {
    await page.getByRole('button', { name: 'Leave Paceline' }).click()
    await page.getByRole('button', { name: 'Stay' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Leave Paceline' }).click()
    await page.getByRole('button', { name: 'Leave and erase my data' }).click()
    const receipt = await page.locator('.receipt code').textContent()
    assert.ok(receipt)
    await page.getByText('Everything held on you has been erased').waitFor(forWork)
    await page.getByText(/Copies .* are gone by \d/).waitFor()
    assert.equal(await page.locator('.receipt code').textContent(), receipt, 'the receipt can still be copied')
    assert.deepEqual(await context.cookies(app), [])

    // The receipt speaks for itself: anybody who has it may ask, without a session.
    const kept = page.url()
    await page.goto('about:blank')
    await page.goto(kept)
    await page.getByText('Everything held on you has been erased').waitFor()
    await page.getByRole('link', { name: 'Back to the first page' }).click()
    await connect().waitFor()
  })

  await step('no page broke, disobeyed its policy, or asked another host', () => {
    assert.deepEqual(faults, [])
  })
})
