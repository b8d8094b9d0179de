// The official Node SDK against a gateway: runs every scenario once and prints what came of each, as one JSON object.
// Arguments: the gateway's base URL, the base URL of one that wants a key, a key of that one, the folder of the SDK.
'use strict';

const { createRequire } = require('node:module');
const [v1, keyedV1, key, packages] = process.argv.slice(2);
const OpenAI = createRequire(`${packages}/package.json`)('openai');

const messages = [{ role: 'user', content: 'What is the toll?' }];
const sdk = (more = {}) => new OpenAI({ baseURL: v1, apiKey: 'sk-of-the-client', maxRetries: 0, timeout: 15000, ...more });
const chat = (client, model, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages, ...more }, options);

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return {
    text: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join(''),
    usages: chunks.filter((chunk) => chunk.usage).map((chunk) => chunk.usage.total_tokens),
    empty: chunks.filter((chunk) => !chunk.choices.length).length,
  };
}

const works = {
  async chat() {
    const said = await chat(sdk(), 'up/node-chat');
    return { text: said.choices[0].message.content, total: said.usage.total_tokens, model: said.model };
  },
  async raw() {
    const { data, response } = await chat(sdk(), 'up/node-raw').withResponse();
    return { text: data.choices[0].message.content, headers: Object.fromEntries(response.headers), id: data._request_id };
  },
  stream: async () => collect(await chat(sdk(), 'up/node-stream', { stream: true })),
  usage: async () =>
    collect(await chat(sdk(), 'up/node-usage', { stream: true, stream_options: { include_usage: true } })),
  async helper() {
    const runner = sdk().chat.completions.stream({ model: 'up/node-helper', messages });
    return { text: await runner.finalContent() };
  },
  async tool() {
    const said = await chat(sdk(), 'up/node-tool', { tools: [{ type: 'function', function: { name: 'get_toll' } }] });
    return said.choices[0].message.tool_calls[0].function;
  },
  async toolStream() {
    const tools = [{ type: 'function', function: { name: 'get_toll', parameters: {} } }];
    const runner = sdk().chat.completions.stream({ model: 'up/node-tool-stream', messages, tools });
    return (await runner.finalMessage()).tool_calls[0].function;
  },
  async schema() {
    const response_format = { type: 'json_schema', json_schema: { name: 'toll', strict: true, schema: { type: 'object' } } };
    const said = await sdk().chat.completions.parse({ model: 'up/node-schema', messages, response_format });
    return said.choices[0].message.parsed;
  },
  async completion() {
    return (await sdk().completions.create({ model: 'up/node-completion', prompt: 'The gate' })).choices[0].text;
  },
  async embeddings() {
    return (await sdk().embeddings.create({ model: 'up/node-embeddings', input: 'a cart' })).data[0].embedding;
  },
  async floats() {
    const asked = { model: 'up/node-floats', input: 'a cart', encoding_format: 'float' };
    return (await sdk().embeddings.create(asked)).data[0].embedding;
  },
  async models() {
    const names = [];
    for await (const model of sdk().models.list()) names.push(model.id);
    return { names, one: (await sdk().models.retrieve('toll')).id };
  },
  async left() {
    const stream = await chat(sdk(), 'up/node-left', { stream: true });
    for await (const chunk of stream) return chunk.choices[0].delta.content; // leaving the loop aborts the request
  },
  async aborted() {
    const controller = new AbortController();
    const stream = await chat(sdk(), 'up/node-aborted', { stream: true }, { signal: controller.signal });
    let said = '';
    for await (const chunk of stream) {
      said += chunk.choices[0].delta.content;
      controller.abort();
    }
    return said;
  },
  async crowded() {
    return (await chat(sdk({ maxRetries: 2 }), 'up/node-crowded')).choices[0].message.content;
  },
};

const retrying = () => sdk({ maxRetries: 2 });
const fails = {
  unknownModel: () => chat(retrying(), 'no-such-model'),
  noModel: () => chat(retrying(), ''),
  nullModel: () => chat(retrying(), null),
  tooLarge: () => chat(retrying(), 'up/x', { user: 'u'.repeat(2 ** 21) }),
  badJson: () => retrying().post('/chat/completions', { body: '{"model": ', headers: { 'content-type': 'application/json' } }),
  responses: () => retrying().responses.create({ model: 'up/x', input: 'hi' }),
  files: () => retrying().files.list(),
  images: () => retrying().images.generate({ prompt: 'a gate' }),
  badKey: () => chat(sdk({ baseURL: keyedV1, apiKey: 'tk-unknown', maxRetries: 2 }), 'up/allowed'),
  notAllowed: () => chat(sdk({ baseURL: keyedV1, apiKey: key, maxRetries: 2 }), 'up/node-forbidden'),
  dead: () => chat(sdk({ maxRetries: 1 }), 'dead/node-dead'),
  broken: () => chat(retrying(), 'up/node-broken'),
  nothing: () => chat(retrying(), 'up/node-nothing'),
  silent: () => chat(retrying(), 'up/node-silent', { stream: true }),
  impatient: () => chat(sdk({ timeout: 400 }), 'up/node-impatient'),
  middle: async () => collect(await chat(retrying(), 'up/node-middle', { stream: true })),
  upstream400: () => chat(retrying(), 'up/node-400'),
  upstream401: () => chat(retrying(), 'up/node-401'),
  upstream404: () => chat(retrying(), 'up/node-404'),
  upstream422: () => chat(retrying(), 'up/node-422'),
  upstream429: () => chat(sdk(), 'up/node-429'),
  upstream500: () => chat(sdk(), 'up/node-500'),
};

async function outcome(run) {
  try {
    return { came: await run() };
  } catch (error) {
    const { status, code, type, param, message } = error;
    return {
      raised: error.constructor.name,
      status, code, type, param, message,
      body: error.error,
      shouldRetry: error.headers?.get('x-should-retry') ?? null,
    };
  }
}

async function main() {
  const all = Object.entries({ ...works, ...fails });
  const results = await Promise.all(all.map(async ([name, run]) => [name, await outcome(run)]));
  process.stdout.write(JSON.stringify(Object.fromEntries(results)));
}

main();
