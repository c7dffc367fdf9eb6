import type { Locator, Page } from "playwright-core"

/** The console as a person uses it: by what they read on it, not by how it is made. */

/** Opens a path of the console, signs in through the provider, and is back at that path. */
export const signIn = async (page: Page, api: string, person: string, path = "/"): Promise<void> => {
  await page.goto(api + path)
  await page.getByRole("link", { name: "Sign in" }).click()
  await chooseAtProvider(page, person)
  await page.waitForURL(api + path)
}

/** On the development provider's page. */
export const chooseAtProvider = async (page: Page, person: string): Promise<void> => {
  await page.getByText(person, { exact: false }).first().click()
  await page.locator("input[type=password]").fill("anything")
  await page.locator("button[type=submit]").first().click()
}

/** An edge's row in the list. */
export const edgeRow = (page: Page, name: string): Locator =>
  page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) })

/** The link that opens what an edge serves; there while it is online. */
export const openLink = (page: Page, name: string): Locator =>
  page.getByRole("link", { name: `Open ${name}`, exact: true })

/** On the list: goes to the pairing page, makes a code and reads it. */
export const makeCode = async (page: Page, name: string): Promise<string> => {
  await page.getByRole("link", { name: "Pair an edge" }).click()
  await page.getByLabel("Name of the new edge").fill(name)
  await page.getByRole("button", { name: "Make a pairing code" }).click()
  return (await page.getByText(/^[A-Z2-9]{4}-[A-Z2-9]{4}$/).textContent()) ?? ""
}

export const signOut = async (page: Page): Promise<void> => {
  await page.getByRole("button", { name: "Account of" }).click()
  await page.getByRole("menuitem", { name: "Sign out" }).click()
}

/** Collects what a browser complains about: errors of scripts, requests that failed, policies that were broken. */
export const complaintsOf = (page: Page): Array<string> => {
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("console", (message) => {
    // Who is not signed in is asked for, and answered 401: that is no fault.
    if (message.type() === "error" && !message.text().includes("401")) complaints.push(message.text())
  })
  return complaints
}
