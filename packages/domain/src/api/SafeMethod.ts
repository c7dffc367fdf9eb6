const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"])

/** Whether a request by that method asks for no change (RFC 9110 §9.2.1). Methods are case-sensitive. */
export const isSafeMethod = (method: string): boolean => safeMethods.has(method)
