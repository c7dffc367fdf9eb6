/** What an edge answered is not HTTP, or two parsers could read it in two ways. */
export class MalformedResponse extends Error {}
