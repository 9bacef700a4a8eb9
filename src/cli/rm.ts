import { faultOfCase, formatReference, parseReference } from '../images/reference.ts';
import { isByDigest, isTag, type Tag } from '../../storage/names.ts';
import { parallel } from '../../storage/parallel.ts';
import { clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { Repository } from './registry-client.ts';

const usage = `Usage: shiplog rm REPO:TAG [OPTIONS]
       shiplog rm REPO@DIGEST [OPTIONS]

Removes a tag alone, or an image or index and all tags that point to it.

${clientUsage}`;

/** Requests at once. */
const width = 8;

/** `shiplog rm` */
export const rm: Command = async ({ args, env, stdout }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { ...clientOptions, help: { type: 'boolean', short: 'h' } },
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
  const server = serverOf(values, env);
  const repository = new Repository(target.repository, server);
  const { reference } = target;
  const name = formatReference(repository.name, reference);

  const tags = isByDigest(reference) ? await tagsOf(repository, reference) : [];
  const digest = await repository.resolve(reference);
  if (digest === undefined || !(await repository.delete(reference))) throw new CommandError(`there is no ${name}`);
  stdout.write(
    `${name} is removed${isByDigest(reference) ? '' : `; what it pointed to stays: ${repository.name}@${digest}`}\n`,
  );
  for (const tag of tags) stdout.write(`${formatReference(repository.name, tag)} is removed with it\n`);
  return 0;
};

/** The tags that point to a manifest. */
async function tagsOf(repository: Repository, digest: string): Promise<Tag[]> {
  const tags = (await Array.fromAsync(repository.tags())).filter(isTag);
  const digests = await parallel(tags, width, (tag) => repository.resolve(tag));
  return tags.filter((_, place) => digests[place] === digest);
}
