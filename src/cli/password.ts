import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CommandError, type CommandContext } from './command.ts';

/**
 * Asks for a new password twice, without showing it; from what is no terminal it reads the first line.
 * @throws {CommandError} when the two differ, or nothing was given.
 */
export async function readPassword(
  prompt: string,
  { stdin, stderr }: Pick<CommandContext, 'stdin' | 'stderr'>,
): Promise<string> {
  if (stdin.isTTY !== true) return (await text(stdin)).split(/\r?\n/)[0] ?? '';
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: true, historySize: 0 });
  const ended = new Promise<undefined>((resolve) => lines.once('close', () => resolve(undefined)));
  const ask = async (question: string): Promise<string> => {
    stderr.write(question);
    const answer = await Promise.race([lines.question(''), ended]);
    stderr.write('\n');
    if (answer === undefined) throw new CommandError('no password was given');
    return answer;
  };
  try {
    const first = await ask(prompt);
    if ((await ask('Again: ')) !== first) throw new CommandError('the two passwords differ; nothing was changed');
    return first;
  } finally {
    lines.close();
  }
}
