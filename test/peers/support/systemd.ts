import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Docker } from './docker.ts';
import { run } from './process.ts';

const source = resolve(import.meta.dirname, '../../..');

/** Runs `systemd-analyze` on a unit of deploy/, as if the package were installed. @throws what it complains of */
export async function analyze(unit: string, ...command: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-systemd-'));
  try {
    const text = await readFile(join(source, 'deploy', unit), 'utf8');
    const file = join(folder, basename(unit));
    await writeFile(file, text.replaceAll('/opt/shiplog', source));
    return await run('systemd-analyze', [...command, file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What systemd itself needs of its units to start a service, and nothing that would touch the machine. */
const targets =
  'sysinit basic shutdown umount final network-online network time-sync sockets timers paths slices local-fs local-fs-pre swap'.split(
    ' ',
  );

/** A machine that systemd has started, with a unit of deploy/ and the package in /opt/shiplog. */
export interface Booted extends AsyncDisposable {
  /** Runs a line of shell there, as root. @returns its stdout @throws where it fails */
  shell(script: string): Promise<string>;
}

/** The log of the service, as `shell` sees it. */
export const serviceLog = '/var/log/service';

/** Starts this machine's systemd, as the first process of a container, with one unit. Others are there to be started. */
export async function boot(docker: Docker, unit: string, others: readonly string[] = []): Promise<Booted> {
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-boot-'));
  const [root, units] = [join(folder, 'root'), join(folder, 'units')];
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  try {
    const folders = 'etc/systemd/system etc/shiplog var/lib var/log run tmp proc sys dev usr opt/shiplog root'.split(
      ' ',
    );
    for (const name of [root, units]) await mkdir(name);
    for (const name of folders) await mkdir(join(root, name), { recursive: true });
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) await symlink(`usr/${name}`, join(root, name));
    for (const name of targets) await cp(`/usr/lib/systemd/system/${name}.target`, join(units, `${name}.target`));
    const text = await readFile(join(source, 'deploy', unit), 'utf8');
    const texts = {
      'etc/passwd': 'root:x:0:0::/root:/bin/sh\nshiplog:x:990:990::/var/lib/shiplog:/bin/false\n',
      'etc/group': 'root:x:0:\nshiplog:x:990:\n',
      'etc/shiplog/shiplog.yml': '',
      [`etc/systemd/system/${unit}`]: text
        // A container may not raise it, and has no journal.
        .replace(/^LimitNOFILE=.*$/m, '')
        .replace('[Service]', `[Service]\nStandardOutput=append:${serviceLog}\nStandardError=append:${serviceLog}`),
    };
    for (const [name, content] of Object.entries(texts)) await writeFile(join(root, name), content);
    for (const name of others) await cp(join(source, 'deploy', name), join(root, 'etc/systemd/system', name));
    await run('tar', ['--create', '--file', `${root}.tar`, '--owner=0', '--group=0', '--directory', root, '.']);
    await docker.cli(['import', `${root}.tar`, 'boot']);
    const may = [
      '--cap-add=SYS_ADMIN',
      '--cap-add=SYS_PTRACE',
      '--security-opt=seccomp=unconfined',
      '--security-opt=apparmor=unconfined',
    ];
    const memory = ['--tmpfs=/run', '--tmpfs=/tmp', '--tmpfs=/sys/fs/cgroup'];
    const mounts = ['/usr:/usr:ro', `${units}:/usr/lib/systemd/system:ro`, `${source}:/opt/shiplog:ro`];
    const volumes = mounts.map((mount) => `--volume=${mount}`);
    const systemd = ['/usr/lib/systemd/systemd', '--system', `--unit=${unit}`, '--log-target=console'];
    const options = [
      '--detach',
      '--name=boot',
      '--network=none',
      '--env=container=docker',
      ...may,
      ...memory,
      ...volumes,
    ];
    await docker.cli(['run', ...options, 'boot', ...systemd]);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    shell: (script) => docker.cli(['exec', 'boot', '/bin/sh', '-ec', script]),
    async [Symbol.asyncDispose]() {
      await docker.cli(['rm', '--force', 'boot']);
      await remove();
    },
  };
}
