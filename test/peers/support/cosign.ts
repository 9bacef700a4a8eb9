import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goTool } from './go-tools.ts';
import { run } from './process.ts';

/** cosign with a pair of keys of its own, and without the public log, which it could not reach. */
export interface Cosign extends AsyncDisposable {
  login(host: string, name: string, password: string): Promise<unknown>;
  sign(image: string): Promise<unknown>;
  /** @throws where there is no signature by its key */
  verify(image: string): Promise<unknown>;
}

/** Starts it; the first time it is built, which takes minutes. */
export async function startCosign(): Promise<Cosign> {
  const program = await goTool('github.com/sigstore/cosign/v3/cmd/cosign', 'v3.1.3');
  const folder = await mkdtempDisposable(join(tmpdir(), 'shiplog-cosign-'));
  const pair = join(folder.path, 'pair');
  const env = { HOME: folder.path, DOCKER_CONFIG: folder.path, COSIGN_PASSWORD: 'secret' };
  const cosign = (...args: string[]): Promise<string> => run(program, args, { env });
  await cosign('generate-key-pair', '--output-key-prefix', pair);
  const offline = ['--tlog-upload=false', '--use-signing-config=false'];
  return {
    login: (host, name, password) => cosign('login', host, '--username', name, '--password', password),
    sign: (image) => cosign('sign', `--key=${pair}.key`, ...offline, '--allow-http-registry', image),
    verify: (image) => cosign('verify', `--key=${pair}.pub`, '--insecure-ignore-tlog', '--allow-http-registry', image),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}
