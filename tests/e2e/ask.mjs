// Asks each URL of its arguments, METHOD as `fetch` or `get` says, with the headers given as JSON; prints who answered.
import http from 'node:http'

const [, , method, headers, ...urls] = process.argv

const get = (url) =>
  new Promise((resolve, reject) => {
    http
      .get(url, { headers: JSON.parse(headers) }, (answer) => {
        let text = ''
        answer.on('data', (part) => (text += part)).on('end', () => resolve(text))
      })
      .on('error', reject)
  })

const fetched = async (url) => (await fetch(url, { headers: JSON.parse(headers) })).text()

const answers = []
for (const url of urls) {
  answers.push(JSON.parse(await (method === 'get' ? get(url) : fetched(url))).by)
}
console.log(JSON.stringify(answers))
