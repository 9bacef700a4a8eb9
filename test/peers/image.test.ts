import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { freePort } from '../support/server.ts';
import { type Docker, startDocker } from './support/docker.ts';
import { machineImages } from './support/machine-images.ts';

let docker: Docker;
beforeAll(async () => {
  docker = await startDocker({ storageDriver: 'overlay2' });
  await machineImages.node(docker, 'node:24-slim');
  await docker.cli([
    'build',
    '--network=host',
    '--build-arg=REVISION=abc',
    '--tag=shiplog',
    resolve(import.meta.dirname, '../..'),
  ]);
}, 600_000);
afterAll(() => docker?.[Symbol.asyncDispose]());

/** As it should be run where nobody is trusted: nothing of it can be written but /data. */
const hardened = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges'];

test('the image says what it is, runs as a user of its own, and holds what shiplog needs alone', async () => {
  const [{ Config: config, Size: size }] = JSON.parse(await docker.cli(['image', 'inspect', 'shiplog']));
  const [{ Size: base }] = JSON.parse(await docker.cli(['image', 'inspect', 'node:24-slim']));
  console.log(`the image takes ${Math.round((size - base) / 1e6)} MB beside its base`);
  expect(config).toMatchObject({
    User: '1001:1001',
    StopSignal: 'SIGTERM',
    Volumes: { '/data': {} },
    Labels: { 'org.opencontainers.image.title': 'shiplog', 'org.opencontainers.image.revision': 'abc' },
  });
  const run = (script: string): Promise<string> =>
    docker.run('shiplog', ['-c', script], [...hardened, '--entrypoint=/bin/sh']);
  expect(await run('ls -A /opt/shiplog')).toBe(
    '.npmrc\nLICENSE\ndeploy\ningest\nnode_modules\npackage-lock.json\npackage.json\nsrc\nstorage\n',
  );
  expect(await run('ls /opt/shiplog/node_modules')).not.toMatch(/^(?:vitest|typescript|node-linux-.*)$/m);
  expect(await run('id')).toMatch(/^uid=1001\(shiplog\) gid=1001\(shiplog\)/);
  await expect(run('touch /opt/shiplog/a')).rejects.toThrow(/Read-only file system/);
});

test('without a user it does not listen to other machines, and says how a user is made', async () => {
  await expect(docker.run('shiplog', [], hardened)).rejects.toThrow(
    /http\.listen is 0\.0\.0\.0, .* there are no users yet; make one with: .*shiplog htpasswd NAME/,
  );
});

describe('a container', () => {
  let host: string;
  let syslog: string;
  beforeAll(async () => {
    [host, syslog] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const data = ['--volume=data:/data', '--network=host', ...hardened];
    await docker.cli(['run', '--rm', '--interactive', ...data, 'shiplog', 'htpasswd', 'ci'], 'right');
    const settings = { SHIPLOG_HTTP_LISTEN: host, SHIPLOG_INGEST_SYSLOG_TCP: syslog, SHIPLOG_INGEST_SYSLOG_UDP: 'off' };
    const env = Object.entries(settings).map(([name, value]) => `--env=${name}=${value}`);
    // Sooner than the image asks.
    await docker.cli(['run', '--detach', '--name=one', '--health-interval=1s', ...data, ...env, 'shiplog']);
  });

  test('becomes healthy', async () => {
    await vi.waitFor(
      async () => expect(await docker.cli(['inspect', '--format={{.State.Health.Status}}', 'one'])).toBe('healthy\n'),
      { timeout: 60_000, interval: 200 },
    );
  });

  test('takes an image and gives it back, and finds the log line that the image wrote', async () => {
    const image = `${host}/team/web:1`;
    await docker.cli(['login', '--username=ci', '--password-stdin', host], 'right');
    await docker.buildBusybox(image);
    await docker.cli(['push', image]);
    await docker.cli(['rmi', image]);
    await docker.cli(['pull', image]);
    const tag = 'v1|{{.FullID}}|{{.Name}}|{{.ImageName}}|{{.ImageFullID}}|{{.Hostname}}|prod';
    const options = [`syslog-address=tcp://${syslog}`, 'syslog-format=rfc5424micro', `tag=${tag}`];
    const logging = ['--log-driver=syslog', ...options.map((option) => `--log-opt=${option}`)];
    await docker.run(image, ['echo', 'hello from the image'], logging);
    await vi.waitFor(
      async () =>
        expect(await docker.cli(['exec', 'one', 'shiplog', 'logs', 'image:team/web hello'])).toContain(
          'hello from the image',
        ),
      { timeout: 20_000, interval: 200 },
    );
  });

  test('ends in order when it is stopped, and its data is there for the next one', async () => {
    await docker.cli(['stop', '--time=60', 'one']);
    expect(await docker.cli(['inspect', '--format={{.State.ExitCode}}', 'one'])).toBe('0\n');
    expect(await docker.cli(['logs', 'one'])).toMatch(/"msg":"ended"\}\n$/);
    await docker.cli(['start', 'one']);
    await vi
      .waitFor(() => docker.cli(['pull', `${host}/team/web:1`]), { timeout: 60_000, interval: 200 })
      .catch(async (cause: unknown) => {
        throw new Error(await docker.cli(['logs', 'one']), { cause });
      });
    await docker.cli(['rm', '--force', 'one']);
  });
});

test('a configuration that is put in place of its own is in force', async () => {
  const file = join(tmpdir(), `shiplog-${process.pid}.yml`);
  onTestFinished(() => rm(file));
  await writeFile(file, 'data: /data\nhttp: { listen: 127.0.0.1:5001 }\n', { mode: 0o644 });
  const put = [...hardened, `--volume=${file}:/etc/shiplog/shiplog.yml:ro`];
  expect(await docker.run('shiplog', ['check-config'], put)).toMatch(/^ {2}listen: 127\.0\.0\.1:5001$/m);
  expect(await docker.run('shiplog', ['check-config'], hardened)).toMatch(/^ {2}listen: 0\.0\.0\.0:5000$/m);
});
