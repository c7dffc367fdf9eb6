/** As much of Prometheus' text format and query language as tells which metrics and labels there are, and are asked for. */

/** The labels of each series in what a scrape is answered, by the series' name. */
export const scraped = (...texts: ReadonlyArray<string>): Map<string, Set<string>> => {
  const series = new Map<string, Set<string>>()
  for (const [, name = "", labels = ""] of texts
    .join("\n")
    .matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? [^ ]+$/gm)) {
    const known = series.get(name) ?? new Set()
    series.set(name, known)
    for (const [, label = ""] of labels.matchAll(/([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"/g)) known.add(label)
  }
  return series
}

export interface Query {
  /** Each metric, with the labels that it is chosen by. */
  readonly metrics: ReadonlyArray<{ readonly name: string; readonly labels: ReadonlyArray<string> }>
  /** The labels that results are grouped by. */
  readonly grouping: ReadonlyArray<string>
  readonly functions: ReadonlyArray<string>
}

const words = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan"])

export const parse = (expression: string): Query => {
  const grouping: Array<string> = []
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g, (_, labels: string) => {
      grouping.push(...labels.split(",").flatMap((label) => label.trim() || []))
      return " "
    })
  const metrics: Array<Query["metrics"][number]> = []
  const functions: Array<string> = []
  for (const [, name = "", call, matchers = ""] of bare.matchAll(
    /(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(?:(\()|\{([^}]*)\})?/g
  )) {
    if (call !== undefined) functions.push(name)
    else if (!words.has(name.toLowerCase())) {
      const labels = Array.from(
        matchers.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g),
        ([, label = ""]) => label
      )
      metrics.push({ name, labels })
    }
  }
  return { metrics, grouping, functions }
}

/** What Prometheus adds to what it scrapes; everything else is the program's own. */
const added = new Set(["job", "instance"])

const known = new Set([
  "changes",
  "histogram_quantile",
  "increase",
  "label_values",
  "max",
  "min",
  "rate",
  "sum",
  "time"
])

/** What is asked for and does not exist; nothing, where all is well. */
export const missing = (
  expression: string,
  series: ReadonlyMap<string, ReadonlySet<string>>
): ReadonlyArray<string> => {
  const { functions, grouping, metrics } = parse(expression)
  const has = (name: string, label: string) => added.has(label) || series.get(name)?.has(label) === true
  return [
    ...functions.filter((name) => !known.has(name)).map((name) => `function ${name}`),
    ...metrics.filter(({ name }) => !series.has(name)).map(({ name }) => `metric ${name}`),
    ...metrics.flatMap(({ labels, name }) =>
      labels.filter((label) => !has(name, label)).map((label) => `label ${label} of ${name}`)
    ),
    ...grouping
      .filter((label) => !metrics.some(({ name }) => has(name, label)))
      .map((label) => `label ${label} to group by`)
  ]
}
