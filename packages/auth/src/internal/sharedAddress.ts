import { isIPv6 } from "node:net"

/** Who shares a count: an IPv4 address, or the /64 that one IPv6 subscriber has. */
export const sharedAddress = (address: string): string => {
  if (!isIPv6(address)) return address
  const [head = "", tail] = address.toLowerCase().split("::")
  const left = head === "" ? [] : head.split(":")
  const right = tail === undefined || tail === "" ? [] : tail.split(":")
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  return [...left, ...Array.from({ length: zeros }, () => "0"), ...right].slice(0, 4).join(":")
}
