import type { Action, Rule } from '../../ingest/rules/rule.ts';
import { Rules } from '../../ingest/rules/rules.ts';
import type { Config } from '../config.ts';

/** Rules and rate limit as the configuration has them. */
export function rulesOf({ ingest: { rules, rate_limit: limit } }: Config): Rules {
  return new Rules(rules.map(ruleOf), limit === 'off' ? undefined : limit);
}

type RuleConfig = Config['ingest']['rules'][number];

function ruleOf({ name, image, host, cluster, container, level, contains, matches, ...action }: RuleConfig): Rule {
  return {
    name,
    match: {
      ...(image !== undefined && { image: listOf(image) }),
      ...(host !== undefined && { host: listOf(host) }),
      ...(cluster !== undefined && { cluster: listOf(cluster) }),
      ...(container !== undefined && { container: listOf(container) }),
      ...(level && { level }),
      ...(contains !== undefined && { contains }),
      ...(matches !== undefined && { matches }),
    },
    action: actionOf(action),
  };
}

function listOf(names: string | readonly string[]): readonly string[] {
  return typeof names === 'string' ? [names] : names;
}

/** A rule has one action; without another it is `drop`. */
function actionOf({ sample, redact, set }: Pick<RuleConfig, 'sample' | 'redact' | 'set'>): Action {
  if (sample !== undefined) return { kind: 'sample', of: sample };
  if (redact !== undefined) return { kind: 'redact', patterns: redact };
  return set === undefined ? { kind: 'drop' } : { kind: 'set', fields: set };
}
