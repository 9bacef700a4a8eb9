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

const sockets = ['http', 'syslog', 'syslog-udp', 'syslog-tls'].map((name) => `shiplog-${name}.socket`);

test('systemd takes the unit, and has nothing to say of it', async () => {
  expect(await analyze(unit, 'verify', '--man=no')).toBe('');
});

test('it is exposed to little: of 10, where 10 is everything, at most 1.7', async () => {
  expect(await analyze(unit, 'security', '--offline=true', '--threshold=17', '--no-pager')).toMatch(
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

test('systemd holds its sockets: a restart under load refuses no request, and loses no line', async () => {
  await using docker = await startDocker({ storageDriver: 'overlay2' });
  await using machine = await boot(docker, unit, sockets);
  const node = '/opt/shiplog/node_modules/.bin/node';
  const pid = async (): Promise<string> => machine.shell('systemctl show --property=MainPID --value shiplog');
  await machine.shell(
    'until systemctl is-active shiplog; do sleep 0.1; done; systemctl stop shiplog; ' +
      `systemctl start ${sockets.filter((name) => !name.includes('tls')).join(' ')} shiplog`,
  );
  const before = await pid();
  const load = `
    const fs = require('node:fs');
    (async () => {
      const [failures, answered] = [[], []];
      for (let at = 0; !fs.existsSync('/tmp/enough'); at += 1) {
        const body = JSON.stringify({ message: 'record ' + at, host: 'h' });
        const headers = { 'content-type': 'application/json', connection: 'close' };
        await fetch('http://127.0.0.1:5000/logs', { method: 'POST', headers, body })
          .then((answer) => answer.text())
          .then((text) => answered.push(text), (error) => failures.push(String(error.cause ?? error)));
      }
      fs.writeFileSync('/tmp/result', JSON.stringify({ failures, answered: answered.length, kinds: [...new Set(answered)] }));
    })();`;
  await machine.shell(`${node} -e '${load.replaceAll("'", `'\\''`)}' > /tmp/load 2>&1 &`);
  const line = (name: string): string => `<14>Nov 24 10:00:00 h app: ${name}`;
  await machine.shell(
    `systemctl restart --no-block shiplog; while [ "$(systemctl is-active shiplog)" = active ]; do sleep 0.01; done;
    echo '${line('by TCP')}' | ${node} -e 'process.stdin.pipe(require("node:net").connect(5514, "127.0.0.1"))';
    ${node} -e 'const socket = require("node:dgram").createSocket("udp4"); socket.send("${line('by UDP')}", 5514, "127.0.0.1", () => socket.close())';
    until systemctl is-active shiplog; do sleep 0.1; done; sleep 1; touch /tmp/enough; until [ -e /tmp/result ]; do sleep 0.1; done`,
  );
  expect(await pid()).not.toBe(before);
  const result: { failures: string[]; answered: number; kinds: string[] } = JSON.parse(
    await machine.shell('cat /tmp/result'),
  );
  expect(result).toMatchObject({ failures: [], kinds: ['{"accepted":1}'] });
  expect(result.answered).toBeGreaterThan(1);
  const search = `
    fetch('http://127.0.0.1:5000/api/logs?q=by').then((answer) => answer.json())
      .then(({ records }) => console.log(records.map(({ message }) => message).sort().join()))`;
  await vi.waitFor(async () => expect(await machine.shell(`${node} -e "${search}"`)).toBe('by TCP,by UDP\n'), {
    timeout: 20_000,
    interval: 200,
  });
});
