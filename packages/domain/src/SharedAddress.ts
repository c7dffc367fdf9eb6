/**
 * Who shares a count of what is tried: an IPv4 address, however it is written, or the /64 that one customer of IPv6
 * has at least (RFC 6177). What is no address is a count of its own.
 */
export const sharedAddress = (address: string): string => {
  if (!address.includes(":")) return address
  const [head = "", tail] = address.toLowerCase().split("::")
  const left = groupsOf(head)
  const right = groupsOf(tail ?? "")
  const missing = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array.from({ length: missing }, () => 0), ...right]
  const [high = 0, low = 0] = groups.slice(6)
  // An IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2), as a dual-stack socket has it.
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return [high >> 8, high & 255, low >> 8, low & 255].join(".")
  }
  return groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")
}

/** A last part in dots stands for two groups. */
const groupsOf = (text: string): ReadonlyArray<number> =>
  text === ""
    ? []
    : text.split(":").flatMap((group) => {
        const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number)
        return group.includes(".") ? [(a << 8) | b, (c << 8) | d] : [Number.parseInt(group, 16)]
      })
