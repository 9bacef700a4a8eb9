import { z } from 'zod';
import { glob, path, secret, text } from './values.ts';

const rule = z.strictObject({
  repositories: z.union([glob, z.array(glob)], { error: 'expected a pattern of names such as team-a/**, or a list' }),
  users: z.array(text, { error: 'expected a list of users, of * (who logged in) or anonymous' }),
  actions: z.array(z.enum(['pull', 'push', 'delete'], { error: 'expected pull, push or delete' }), {
    error: 'expected a list of pull, push and delete',
  }),
});

/** `auth`: who may do what. */
export function auth(base: string) {
  return z
    .strictObject({
      htpasswd: path(base)
        .optional()
        .meta({ fallback: '`<data>/htpasswd`' })
        .describe('Users, with bcrypt hashes; a change counts at once.'),
      rules: z
        .array(rule, {
          error: "expected a list such as [{ repositories: 'team-a/**', users: [ci], actions: [pull, push] }]",
        })
        .meta({ kind: 'list of rules' })
        .default([])
        .describe(
          'Who may pull, push and delete what: [users.md](users.md). In the environment it is written as in the file.',
        ),
      log_readers: z
        .array(
          text.refine((user) => user !== 'anonymous', {
            error: 'expected users: whoever does not log in cannot read logs',
          }),
          { error: 'expected a list of users' },
        )
        .default(['*'])
        .describe('Who may read logs and metrics, and replay or drop dead letters: users, or `*` for all of them.'),
      // RFC 7518 section 3.2: "A key of the same size as the hash output or larger MUST be used".
      token_key: secret(32)
        .optional()
        .meta({ fallback: 'made at the first start' })
        .describe(
          'At least 32 characters, by which tokens are signed; servers that stand for each other share it, and the ' +
            'htpasswd file. Else it is in `<data>/state/token-key`.',
        ),
    })
    .prefault({});
}
