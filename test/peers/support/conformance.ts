import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goTool } from './go-tools.ts';
import { run } from './process.ts';
import { caFile } from '../../support/tls.ts';
import { account, type Users } from './shiplog.ts';

/** What the suite counts, and each test that failed with what it says of it. */
export interface Conformance {
  readonly passed: number;
  /** Errors too. */
  readonly failed: number;
  readonly skipped: number;
  readonly disabled: number;
  readonly failures: readonly string[];
}

/** Builds the suite of the OCI's distribution-spec, where it is not there yet. @returns its path */
export function conformanceSuite(): Promise<string> {
  const version = 'v0.0.0-20260831232431-97274622c111';
  return goTool('github.com/opencontainers/distribution-spec/conformance', version);
}

/**
 * Runs the suite against an empty registry, whose certificate, where it has one, the authority of the tests signed.
 * @throws where it gives no summary: its exit code says little, being 0 even where it did not start
 */
export async function conformance(
  host: string,
  version: '1.1' | 'dev',
  users: Users,
  tls: boolean,
): Promise<Conformance> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-conformance-'));
  const env = {
    OCI_REGISTRY: host,
    OCI_TLS: tls ? 'enabled' : 'disabled',
    SSL_CERT_FILE: caFile,
    OCI_VERSION: version,
    // Without it the suite leaves two tests of version 1.1 out.
    OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
    OCI_CONFIGURATION: '/dev/null',
    OCI_RESULTS_DIR: folder,
    ...(users !== 'open' && { OCI_USERNAME: account.name, OCI_PASSWORD: account.password }),
  };
  try {
    // It fails where a test failed.
    const output = await run(await conformanceSuite(), [], { env }).catch(String);
    const count = (label: string): number => {
      const found = new RegExp(`^OCI Conformance Result:[^]*?^ *${label}\\.+: +(\\d+)$`, 'm').exec(output)?.[1];
      if (found === undefined) throw new Error(`the suite gave no result:\n${output.slice(-4000)}`);
      return Number(found);
    };
    return {
      passed: count('Pass'),
      failed: count('FAIL') + count('Error'),
      skipped: count('Skip'),
      disabled: count('Disabled'),
      failures: [...output.matchAll(/^ +OCI Conformance Test\/(.+): (?:FAIL|Error|Skip|Disabled)\n +- (.+)$/gm)].map(
        ([, test, reason]) => `${test}: ${reason}`,
      ),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}
