/**
 * The tests against real programs: installs what is missing, runs them, closes with `N passed, N failed`.
 *
 *   npm run test:peers -- [--long] [--without PEER[,PEER…]] [arguments of vitest, such as the name of a test file]
 *
 * Tests that take minutes run only with `--long`; the others name them at their end (support/long.ts).
 * Which peers a test file needs, its imports say: it imports support/PEER.ts, or a file there that does. A peer that
 * cannot be had makes its tests fail, unless it is left out by name.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** Peers, and the packages of Debian that bring them. Those without are fetched or built by the tests themselves. */
const peers: ReadonlyMap<string, readonly string[]> = new Map([
  ['docker', ['docker.io', 'busybox-static', 'ca-certificates', 'openssl']],
  ['skopeo', ['skopeo', 'ca-certificates']],
  ['registry2', ['docker-registry']],
  ['registry3', []],
  ['elasticsearch', []],
  ['s3', []],
  ['conformance', []],
  ['crane', []],
  ['oras', []],
  ['regctl', []],
  ['podman', ['podman', 'buildah', 'ca-certificates']],
  ['ctr', ['containerd']],
  ['helm', []],
  ['cosign', []],
  ['faketime', ['libfaketime']],
  ['compose', []],
  ['systemd', ['systemd']],
  ['machine-images', ['nginx-light', 'libnginx-mod-stream', 'busybox-static', 'curl']],
  ['nginx', ['nginx-light', 'libnginx-mod-stream']],
  ['senders', ['rsyslog', 'rsyslog-openssl', 'nginx-light', 'haproxy', 'python3', 'bsdutils']],
  // What it is linked to; it cannot be installed beside rsyslog.
  ['syslog-ng', ['libivykis0', 'libnet1', 'libwrap0']],
]);

const root = resolve(import.meta.dirname, '../..');
const folder = import.meta.dirname;

/** Installs what is missing of some packages. Failing is not the end: the tests say what they miss. */
function install(packages: readonly string[]): void {
  const missing = packages.filter((name) => {
    const { stdout } = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', name], {
      encoding: 'utf8',
    });
    return stdout !== 'installed';
  });
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) {
    console.error(`peers: ${missing.join(', ')} must be installed by root: ${command}`);
    return;
  }
  console.error(`peers: ${command}`);
  // The packages bring services, which would start on ports that are not theirs to take here.
  const policy = '/usr/sbin/policy-rc.d';
  const hold = !existsSync(policy);
  if (hold) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const options = ['--quiet', '--option', 'DPkg::Lock::Timeout=300'];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    for (const step of [['update'], ['install', '--yes', '--no-remove', '--no-install-recommends', ...missing]]) {
      const { status, stdout, stderr } = spawnSync('apt-get', [...options, ...step], { env, encoding: 'utf8' });
      if (status !== 0) console.error(`peers: apt-get ${step.join(' ')} failed:\n${stdout}${stderr}`);
    }
  } finally {
    if (hold) rmSync(policy);
  }
}

/** The peers that a test file needs. */
function needs(file: string): string[] {
  const found = new Set<string>();
  const follow = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    for (const [, imported = ''] of readFileSync(path, 'utf8').matchAll(/ from '(\.[^']+)';$/gm)) {
      const target = resolve(dirname(path), imported);
      if (target.startsWith(join(folder, 'support/'))) follow(target);
    }
  };
  follow(join(folder, file));
  return [...peers.keys()].filter((peer) => found.has(join(folder, `support/${peer}.ts`)));
}

/** Takes `--long` and `--without` out of the arguments. */
function parse(args: readonly string[]): { long: boolean; without: Set<string>; others: string[] } {
  const without = new Set<string>();
  const others: string[] = [];
  let long = false;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (arg === '--long') {
      long = true;
      continue;
    }
    if (arg !== '--without' && !arg.startsWith('--without=')) {
      others.push(arg);
      continue;
    }
    const value = arg === '--without' ? (args[(at += 1)] ?? '') : arg.slice('--without='.length);
    for (const name of value.split(',')) {
      if (!peers.has(name)) throw new Error(`there is no peer ${name}; there are ${[...peers.keys()].join(', ')}`);
      without.add(name);
    }
  }
  return { long, without, others };
}

/** What vitest's report says, and how long each file's tests took. No report, or one without a test, is a failure. */
function count(report: string): { passed: number; failed: number; took: string[] } {
  if (!existsSync(report)) return { passed: 0, failed: 1, took: [] };
  const { numPassedTests, numFailedTests, success, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const nothing = numPassedTests + numFailedTests === 0;
  // A file that fails outside of its tests has none that failed.
  const failed = numFailedTests === 0 && (!success || nothing) ? 1 : numFailedTests;
  const took = testResults.map(({ name, startTime, endTime }: { name: string; startTime: number; endTime: number }) => {
    return `${String(Math.round((endTime - startTime) / 1000)).padStart(5)} s  ${basename(name)}`;
  });
  return { passed: numPassedTests, failed, took: took.toSorted().toReversed() };
}

const { long, without, others } = parse(process.argv.slice(2));
const files = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
const leftOut = files.filter((file) => needs(file).some((peer) => without.has(peer)));
install([...new Set([...peers].filter(([name]) => !without.has(name)).flatMap(([, packages]) => packages))]);

const scratch = mkdtempSync(join(tmpdir(), 'shiplog-peers-'));
const report = process.env['SHIPLOG_TEST_REPORT'] ?? join(scratch, 'report.json');
const longNames = join(scratch, 'left-out');
writeFileSync(longNames, '');
const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/peers/vitest.config.ts'];
const exclude = leftOut.flatMap((file) => ['--exclude', `test/peers/${file}`]);
const { status } = spawnSync(process.execPath, [...vitest, ...exclude, ...others], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    SHIPLOG_TEST_REPORT: report,
    SHIPLOG_PEERS_LONG: long ? '1' : '0',
    SHIPLOG_PEERS_LEFT_OUT: longNames,
  },
});
const { passed, failed, took } = count(report);
const longOnes = readFileSync(longNames, 'utf8').split('\n').filter(Boolean);
rmSync(scratch, { recursive: true });
console.log(`${took.join('\n')}\n`);
if (without.size > 0) console.log(`left out: ${[...without].join(', ')} (${leftOut.join(', ') || 'no test file'})`);
if (longOnes.length > 0) console.log(`left out, for --long:\n${longOnes.map((name) => `  ${name}\n`).join('')}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = status === 0 && failed === 0 ? 0 : 1;
