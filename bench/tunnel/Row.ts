/** One line of the table, and what explains it. */
export interface Row {
  readonly what: string
  readonly bar: string
  readonly measured: string
  readonly isMet: boolean
  readonly notes: ReadonlyArray<string>
}
