import { randomBytes } from 'node:crypto';
import { open, rename, stat, unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { escapeControls } from '../escape.ts';
import { parsePlatform } from '../images/platforms.ts';
import { faultOfCase, parseReference } from '../images/reference.ts';
import { writeTar } from '../images/tar-writer.ts';
import { archiveFiles } from '../images/write-archive.ts';
import { hasCode } from '../system-error.ts';
import { clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { Repository } from './registry-client.ts';

const usage = `Usage: shiplog export REPO:TAG > image.tar
       shiplog export REPO@DIGEST -o image.tar [OPTIONS]

Writes an image, or an index with the images of all platforms, as an archive: an OCI layout that docker load takes too.
What is read is checked against its digests; an archive that broke off holds no image.

  -o, --output FILE    where to, if not to stdout
  --platform OS/ARCH   of an index, this image alone: linux/arm64
${clientUsage}`;

/** `shiplog export` */
export const exportImage: Command = async ({ args, env, stdout, stderr }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: {
      ...clientOptions,
      output: { type: 'string', short: 'o' },
      platform: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [text = '', ...more] = positionals;
  const target = parseReference(text);
  if (target?.reference === undefined || more.length > 0) {
    throw new UsageError(`${faultOfCase(text)}give one image, as REPO:TAG or REPO@DIGEST\n\n${usage}`);
  }
  const platform = values.platform === undefined ? undefined : parsePlatform(values.platform);
  if (values.platform !== undefined && platform === undefined) {
    throw new UsageError(`expected a platform such as linux/arm64, not ${values.platform}`);
  }
  if (values.output === undefined && stdout.isTTY === true) {
    throw new UsageError('an archive is nothing for a terminal: redirect it (> image.tar), or give -o FILE');
  }
  const server = serverOf(values, env);
  const archive = writeTar(
    archiveFiles({
      source: new Repository(target.repository, server),
      reference: target.reference,
      platform,
      note: (text) => stderr.write(`${escapeControls(text)}\n`),
    }),
  );
  if (values.output === undefined)
    await pipeline(Readable.from(archive, { objectMode: false }), stdout, { end: false });
  else await replaceFile(values.output, archive);
  return 0;
};

/** Writes a file that is there when it is whole, and before that not at all. */
async function replaceFile(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const there = await stat(name).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (there !== undefined && !there.isFile()) throw new CommandError(`${name} is no file; redirect to it (> ${name})`);
  const temporary = `${name}.${randomBytes(6).toString('hex')}`;
  try {
    await using handle = await open(temporary, 'wx');
    await handle.writeFile(content);
    await handle.sync();
    await rename(temporary, name);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}
