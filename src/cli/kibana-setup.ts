import { readFile } from 'node:fs/promises';
import { type Config, loadConfig } from '../config.ts';
import { importObjects, KibanaError, type KibanaOptions, putDataView, setDefaultDataView } from '../kibana/client.ts';
import { kibanaObjects, toNdjson } from '../kibana/objects.ts';
import { type Command, CommandError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';

const usage = `Usage: shiplog kibana-setup [--print] [--config FILE]

Gives Kibana (logs.elasticsearch.kibana.url) what shows the logs: a data view, which becomes the default if there
is none, a saved search, and a dashboard. Run again, it puts them back as they were.

  --print        prints them instead, as a file to import by hand: Stack Management, Saved Objects, Import
  --config FILE  the configuration file
`;

/** What a data stream is called where the configuration names none. */
const defaultStream = { dataset: 'docker', namespace: 'default' } as const;

/** `shiplog kibana-setup` */
export const kibanaSetup: Command = async ({ args, env, stdout }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: { print: { type: 'boolean' }, config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const { logs } = loadConfig({ file: values.config, env });
  const { dataView, savedObjects } = kibanaObjects(logs.sink === 'elasticsearch' ? logs.elasticsearch : defaultStream);
  if (values.print === true) {
    await print(stdout, toNdjson(savedObjects));
    return 0;
  }
  if (logs.sink !== 'elasticsearch') {
    throw new CommandError('logs.sink is embedded, and Kibana shows what is in Elasticsearch');
  }
  const kibana = await kibanaOptions(logs.elasticsearch);
  try {
    await putDataView(kibana, dataView);
    await setDefaultDataView(kibana, dataView.id);
    await importObjects(kibana, savedObjects);
  } catch (error) {
    if (!(error instanceof KibanaError)) throw error;
    throw new CommandError(error.message, { cause: error });
  }
  const dashboard = savedObjects.find(({ type }) => type === 'dashboard');
  await print(stdout, `${kibana.url.replace(/\/$/, '')}/app/dashboards#/view/${dashboard?.id ?? ''}\n`);
  return 0;
};

type ElasticsearchLogs = Extract<Config['logs'], { sink: 'elasticsearch' }>;

/** Kibana's own credentials, else those of Elasticsearch, which has the users of both. */
async function kibanaOptions(elasticsearch: ElasticsearchLogs['elasticsearch']): Promise<KibanaOptions> {
  const { url, ca, ...own } = elasticsearch.kibana;
  if (url === undefined) throw new CommandError('logs.elasticsearch.kibana.url is not set: where is Kibana?');
  const hasOwn = own.api_key !== undefined || own.username !== undefined;
  const { api_key: apiKey, username, password } = hasOwn ? own : elasticsearch;
  return {
    url,
    ...(apiKey !== undefined && { auth: { apiKey } }),
    ...(username !== undefined && password !== undefined && { auth: { username, password } }),
    ...(ca !== undefined && { ca: await readFile(ca, 'utf8') }),
  };
}
