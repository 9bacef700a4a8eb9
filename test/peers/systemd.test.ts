import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, test, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { startDocker } from './support/docker.ts';
import { analyze, boot, serviceLog } from './support/systemd.ts';

const unit = 'shiplog.service';

/** A setting of the unit; each value that stands there. */
async function setting(name: string): Promise<string[]> {
  const text = await readFile(resolve(import.meta.dirname, '../../deploy', unit), 'utf8');
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

test('systemd takes the unit, and has nothing to say of it', async () => {
  expect(await analyze(unit, 'verify', '--man=no')).toBe('');
});

test('it is exposed to little: of 10, where 10 is everything, at most 1.5', async () => {
  expect(await analyze(unit, 'security', '--offline=true', '--threshold=15', '--no-pager')).toMatch(
    /Overall exposure level for shiplog\.service: \d\.\d OK/,
  );
});

test('its environment is a configuration, and it is not killed before its grace is over', async () => {
  const env = Object.fromEntries(
    (await setting('Environment')).map((line) => line.split('=')).map(([name, value]) => [name, value]),
  );
  expect(env['SHIPLOG_DATA']).toBe('/var/lib/shiplog');
  const { http } = loadConfig({ env: { SHIPLOG_DATA: env['SHIPLOG_DATA'] } });
  const [timeout] = await setting('TimeoutStopSec');
  expect(Number(timeout) * 1000).toBeGreaterThan(http.shutdown_grace);
});

test('systemd itself runs it: confined, started again after a kill, reloaded and stopped', async () => {
  await using docker = await startDocker({ storageDriver: 'overlay2' });
  await using machine = await boot(docker, unit);
  const logged = (message: string, times = 1): Promise<void> =>
    vi.waitFor(
      async () => {
        const lines = (await machine.shell(`cat ${serviceLog}`)).split('\n');
        expect(lines.filter((line) => line.endsWith(`"msg":"${message}"}`)).length).toBeGreaterThanOrEqual(times);
      },
      { timeout: 60_000, interval: 200 },
    );
  await logged('started');
  const command = 'export PATH=/opt/shiplog/node_modules/.bin:$PATH SHIPLOG_DATA=/var/lib/shiplog; cd /opt/shiplog';
  expect(await machine.shell(`${command}; src/main.ts doctor`)).toMatch(/^ok +syslog over TCP +a line was sent/m);

  const pid = 'pid=$(systemctl show --property=MainPID --value shiplog)';
  const status = await machine.shell(`${pid}; cat /proc/$pid/status`);
  for (const line of ['NoNewPrivs:\t1', 'Seccomp:\t2', `CapBnd:\t${'0'.repeat(16)}`, 'Uid:\t990\t990\t990\t990']) {
    expect(status).toContain(`${line}\n`);
  }
  const touch = (path: string): Promise<string> => machine.shell(`${pid}; nsenter --target=$pid --mount touch ${path}`);
  await expect(touch('/etc/shiplog/here')).rejects.toThrow(/Read-only file system/);
  await touch('/var/lib/shiplog/here');
  expect(await machine.shell('ls /var/cache/shiplog')).not.toBe('');

  await machine.shell(`${pid}; kill -9 $pid`);
  await logged('started', 2);
  await machine.shell('systemctl reload shiplog');
  await logged('workers were replaced: users, certificates and the configuration are read again');
  await machine.shell('systemctl stop shiplog');
  await logged('ended');
  expect(await machine.shell('systemctl show --property=Result --value shiplog')).toBe('success\n');
});
