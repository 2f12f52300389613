SELECT name, direction, t.outcome, t.delta, new
FROM trial t JOIN experiment ON id = t.experiment
WHERE knob = :knob
  --campaign: AND t.campaign = :campaign
ORDER BY t.campaign, t.seq, direction
LIMIT 200
