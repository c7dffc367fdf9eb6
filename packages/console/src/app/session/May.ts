import { useQuery } from "@tanstack/react-query"
import type { Me } from "../api/Client.ts"
import { me } from "./Session.ts"

type Role = Me["role"]

const order: ReadonlyArray<Role> = ["viewer", "operator", "admin"]

/** Whether who is signed in may do what takes that role: what one may not do is not offered. The server decides. */
export const useMay = (needed: Role): boolean => {
  const role = useQuery(me).data?.role
  return role !== undefined && order.indexOf(role) >= order.indexOf(needed)
}
