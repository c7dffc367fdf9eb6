import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A certificate that signed itself, of a key of its own, for one host name. Needs `openssl`. */
export class TestCertificate implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "edge-relay-certificate-"))
  /** PEM files. */
  readonly certFile = join(this.folder, "cert.pem")
  readonly keyFile = join(this.folder, "key.pem")

  constructor(name = "localhost") {
    execFileSync(
      "openssl",
      // prettier-ignore
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-keyout", this.keyFile, "-out", this.certFile],
      { stdio: "ignore" }
    )
  }

  /** What a server of Node's is made with. */
  get tls(): { readonly cert: Buffer; readonly key: Buffer } {
    return { cert: readFileSync(this.certFile), key: readFileSync(this.keyFile) }
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
